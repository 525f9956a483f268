/** The HTTP side of a real node with its real bounds: slow and silent clients beside honest ones, a client that leaves. */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createApiServer } from '../../src/api/index.js';
import { createEngine } from '../../src/inference/index.js';
import { createNode } from '../../src/node/index.js';
import { silentLogger, systemClock } from '../../src/shared/index.js';
import { eventually, inTime } from '../support/eventually.js';
import { getJson } from '../support/http.js';
import { startNode } from '../support/one-node.js';
import { Cleanup, type RunningNode } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { WatchedEngine } from '../support/watched-engine.js';

const SLOW_CLIENTS = 200;
const GONE_WITHIN_MS = inTime(13_000);
const REQUEST_P99_MS = inTime(500);

interface Shed {
  readonly reason: string;
  readonly count: number;
}

async function withNode(t: TestContext): Promise<RunningNode> {
  const cleanup = new Cleanup();
  t.after(() => cleanup.dispose());
  return startNode(cleanup);
}

/** Milliseconds of one GET over a connection of its own. */
function get(port: number, path: string): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - startMs);
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    request.on('error', reject);
  });
}

async function shedCount(api: string, reason: string): Promise<number> {
  const { sheds } = await getJson<{ sheds: readonly Shed[] }>(`${api}/v1/status`);
  return sheds.find((each) => each.reason === reason)?.count ?? 0;
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
}

/** Connections that say `text` and then a byte a second; `left` tells how many are open. */
function crowd(t: TestContext, port: number, count: number, text: string) {
  let left = count;
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.on('close', () => {
      left -= 1;
    });
    return socket;
  });
  const dribble = setInterval(() => {
    for (const socket of sockets) if (socket.writable && text !== '') socket.write('x');
  }, 1_000);
  t.after(() => {
    clearInterval(dribble);
    for (const socket of sockets) socket.destroy();
  });
  return { left: () => left };
}

test('the metrics of a node tell how many connections between nodes are open', {
  timeout: 60_000,
}, async (t) => {
  const node = await withNode(t);
  const open = async () =>
    /^exo_connections (\d+)$/m.exec(await (await fetch(`${node.api}/metrics`)).text())?.[1];
  assert.equal(await open(), '0');
  const strangers = [1, 2, 3].map(() => net.connect(node.nodePort, '127.0.0.1').on('error', () => undefined));
  t.after(() => {
    for (const stranger of strangers) stranger.destroy();
  });
  await eventually({ timeoutMs: 4_000, what: 'three are counted' }, async () => (await open()) === '3');
  for (const stranger of strangers) stranger.destroy();
  await eventually({ timeoutMs: 10_000, what: 'none is counted' }, async () => (await open()) === '0');
});

test(`${SLOW_CLIENTS} clients that dribble their headers are gone in time, and normal requests do not feel them`, async (t) => {
  const node = await withNode(t);
  for (let index = 0; index < 10; index++) await get(node.apiPort, '/topology');
  const startMs = performance.now();
  const slow = crowd(t, node.apiPort, SLOW_CLIENTS, 'GET / HTTP/1.1\r\nHost: local');
  const tookMs: number[] = [];
  while (slow.left() > 0) {
    const sinceMs = performance.now() - startMs;
    assert.ok(sinceMs < GONE_WITHIN_MS, `${slow.left()} are left after ${sinceMs.toFixed(0)} ms`);
    tookMs.push(await get(node.apiPort, '/topology'));
    await delay(20);
  }
  const goneMs = performance.now() - startMs;
  const p99Ms = quantile(tookMs, 0.99);
  assert.ok(p99Ms <= REQUEST_P99_MS, `${p99Ms} ms`);
  assert.equal(await shedCount(node.api, 'http-too-slow'), SLOW_CLIENTS);
  promise(
    t,
    'A1',
    `the last gone after ${(goneMs / 1000).toFixed(1)} s; p99 ${p99Ms.toFixed(1)} ms of ${tookMs.length} requests beside them`,
  );
});

test('400 silent connections, more than there is room for, keep nobody out', async (t) => {
  const node = await withNode(t);
  const silent = crowd(t, node.apiPort, 400, '');
  const tookMs: number[] = [];
  await eventually(
    { timeoutMs: 10_000, what: 'the longest silent ones made room' },
    () => silent.left() <= 256,
  );
  for (let index = 0; index < 100; index++) tookMs.push(await get(node.apiPort, '/topology'));
  assert.ok(quantile(tookMs, 0.99) <= REQUEST_P99_MS, `${quantile(tookMs, 0.99)} ms`);
  assert.ok((await shedCount(node.api, 'http-full')) >= 144);
  const metrics = await (await fetch(`${node.api}/metrics`)).text();
  const open = Number(/^exo_http_connections (\d+)$/m.exec(metrics)?.[1]);
  assert.ok(open <= 256, `${open} open`);
  t.diagnostic(
    `400 silent connections: ${open} held, a request beside them p99 ${quantile(tookMs, 0.99).toFixed(1)} ms`,
  );
});

test('the engine takes at most one more step after the client of a stream has left', async (t) => {
  const STEP_MS = 25;
  // Never the end of the answer: only the client’s leaving ends it.
  const engine = new WatchedEngine(createEngine('dummy'), {
    beforeForward: () => delay(STEP_MS),
    sample: () => 2,
  });
  const capabilities = { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } };
  const node = createNode(
    {
      nodeId: 'a',
      instance: '0'.repeat(16),
      epoch: systemClock.wall(),
      version: '0.1.0',
      nodeHost: '127.0.0.1',
      nodePort: 0,
      discovery: { modules: [], discoveryTimeoutMs: 30_000, listenPort: 0, broadcastPort: 0 },
      engine: 'dummy',
      responseTimeoutMs: 30_000,
      maxGenerateTokens: 10_000,
      defaultTemperature: 0,
    },
    {
      inferenceEngine: engine,
      capabilities: { instant: capabilities, refined: Promise.resolve(capabilities) },
    },
  );
  await node.start();
  t.after(() => node.stop());
  const server = createApiServer(
    { host: '127.0.0.1', port: 0, responseTimeoutMs: 30_000, ownerToken: 'x' },
    { mesh: node.mesh, chat: node.chat, clock: systemClock, log: silentLogger, quit: () => undefined },
  );
  await server.start();
  t.after(() => server.stop());
  const figures: string[] = [];
  for (let round = 0; round < 5; round++) {
    const client = new AbortController();
    const response = await fetch(`http://127.0.0.1:${server.address.port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"model":"dummy","stream":true,"messages":[{"role":"user","content":"x"}]}',
      signal: client.signal,
    });
    const reader = response.body!.getReader();
    for (let chunk = 0; chunk < 4; chunk++) await reader.read();
    const released = engine.released.length;
    const stepsBefore = engine.steps.length;
    const leftMs = performance.now();
    client.abort();
    await eventually(
      { timeoutMs: 5_000, everyMs: 1, what: 'the request is given back' },
      () => engine.released.length > released,
    );
    const tookMs = performance.now() - leftMs;
    // Whatever still ran would have begun another step by now.
    await delay(4 * STEP_MS);
    const steps = engine.steps.length - stepsBefore;
    assert.ok(steps <= 1 && tookMs <= inTime(500), `${steps} more steps, ${tookMs.toFixed(0)} ms`);
    figures.push(`${steps} step${steps === 1 ? '' : 's'} in ${tookMs.toFixed(0)} ms`);
  }
  promise(t, 'A4', `${figures.join(', ')} after the client left`);
});
