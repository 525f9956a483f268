/** The API over real nodes with the real dummy engine: the whole way of a prompt, from HTTP to HTTP. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { createApiServer } from '../../src/api/index.js';
import { createNode, type Node } from '../../src/node/index.js';
import { silentLogger, systemClock } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { repeats } from '../support/repeats.js';
import { json, OWNER_TOKEN, readEvents, until } from './harness.js';

const CAPABILITIES = { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } };

async function startNode(t: TestContext, nodeId: string, peers: Record<string, string>): Promise<Node> {
  const folder = mkdtempSync(join(tmpdir(), 'exo-api-ring-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const configPath = join(folder, 'peers.json');
  const entries = Object.entries(peers).map(([id, address]) => [id, { address }]);
  writeFileSync(configPath, JSON.stringify({ peers: Object.fromEntries(entries) }));
  const node = createNode(
    {
      nodeId,
      instance: Buffer.from(nodeId.padEnd(8, '.')).toString('hex'),
      epoch: systemClock.wall(),
      version: '0.1.0',
      nodeHost: '127.0.0.1',
      nodePort: 0,
      discovery: {
        modules: ['manual'],
        discoveryTimeoutMs: 30_000,
        listenPort: 0,
        broadcastPort: 0,
        configPath,
      },
      engine: 'dummy',
      responseTimeoutMs: 10_000,
      maxGenerateTokens: 10_000,
      defaultTemperature: 0,
    },
    { capabilities: { instant: CAPABILITIES, refined: Promise.resolve(CAPABILITIES) } },
  );
  await node.start();
  t.after(() => node.stop());
  return node;
}

async function startServer(t: TestContext, node: Node): Promise<string> {
  const server = createApiServer(
    { host: '127.0.0.1', port: 0, responseTimeoutMs: 10_000, ownerToken: OWNER_TOKEN },
    { mesh: node.mesh, chat: node.chat, clock: systemClock, log: silentLogger, quit: () => undefined },
  );
  await server.start();
  t.after(() => server.stop());
  return `http://127.0.0.1:${server.address.port}`;
}

const ask = (url: string, extra: object = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'dummy', messages: [{ role: 'user', content: 'Who are you?' }], ...extra }),
  });

it('two nodes answer with the dummy’s ten tokens, whole and streamed, whichever is asked', async (t) => {
  const a = await startNode(t, 'a', {});
  const b = await startNode(t, 'b', { a: `127.0.0.1:${a.mesh.self().nodePort}` });
  // Peers first, then the same view of the ring on both.
  await until(() => {
    const [first, second] = [a, b].map((node) => node.mesh.topology());
    return first?.partitions.length === 2 && first.digest === second?.digest;
  });
  const urls = await Promise.all([a, b].map((node) => startServer(t, node)));
  for (const url of urls) {
    const body = await json(await ask(url));
    assert.equal(body.choices[0]?.message.content, 'dummy'.repeat(10));
    assert.equal(body.choices[0]?.finish_reason, 'stop');
    assert.deepEqual(body['usage'], { prompt_tokens: 1, completion_tokens: 10, total_tokens: 11 });
    const events = await readEvents(await ask(url, { stream: true }));
    assert.equal(events.at(-1), '[DONE]');
    const texts = events.slice(1, -2).map((event) => JSON.parse(event).choices[0].delta.content);
    assert.deepEqual(texts, Array(10).fill('dummy'));
    const cut = await json(await ask(url, { max_tokens: 3 }));
    assert.equal(cut.choices[0]?.finish_reason, 'length');
    assert.equal(cut.choices[0]?.message.content, 'dummy'.repeat(3));
    assert.equal((await ask(url, { model: 'nope' })).status, 404);
    const status = (await json(await fetch(`${url}/v1/status`))) as unknown as {
      models: { shards: { node_id: string; start_layer: number; end_layer: number }[] }[];
    };
    assert.deepEqual(status.models[0]?.shards, [
      { node_id: 'b', start_layer: 0, end_layer: 3 },
      { node_id: 'a', start_layer: 4, end_layer: 7 },
    ]);
    const topology = (await json(await fetch(`${url}/topology`))) as unknown as {
      nodes: object;
      active_node_id: string | null;
    };
    assert.deepEqual(Object.keys(topology.nodes).sort(), ['a', 'b']);
  }
});

it('two nodes answer a question that is asked the moment they know each other', async (t) => {
  const tookMs: number[] = [];
  for (let round = 0; round < repeats(20, 200); round++) {
    await t.test(`round ${round}`, async (t) => {
      const a = await startNode(t, 'a', {});
      const urls = [await startServer(t, a)];
      const b = await startNode(t, 'b', { a: `127.0.0.1:${a.mesh.self().nodePort}` });
      urls.push(await startServer(t, b));
      const deadline = AbortSignal.timeout(inTime(5_000));
      // Each as soon as it counts the other as a peer: neither topology needs to be whole yet.
      const answers = [a, b].map(async (node, index) => {
        await node.mesh.waitForPeers(1, deadline);
        const sinceMs = performance.now();
        const body = await json(await ask(urls[index] ?? ''));
        tookMs.push(performance.now() - sinceMs);
        assert.equal(body.choices?.[0]?.message.content, 'dummy'.repeat(10), JSON.stringify(body));
      });
      await Promise.all(answers);
    });
  }
  t.diagnostic(`${tookMs.length} answers, the slowest after ${Math.max(...tookMs).toFixed(0)} ms`);
});
