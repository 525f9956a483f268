/** Bounds of a node that runs: what a crowd, a slow reader and a fast source cost it, and what they cost the others. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS } from '../../src/shared/index.js';
import { helloOf } from '../support/connection-pair.js';
import { eventually, inTime } from '../support/eventually.js';
import { baseFrame } from '../support/frames.js';
import { HalfOpenCrowd, percentile } from '../support/half-open.js';
import { startNode } from '../support/one-node.js';
import { Cleanup, residentBytes } from '../support/processes.js';
import { program } from '../support/program.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';
import type { SenderReport } from '../support/sender-process.js';
import { dialEnd } from '../support/wire-end.js';

const MIB = 1024 * 1024;
const TRIES_MAX = 10;
const AGAIN_MS = 50;

/** How an honest peer got in: how long it took, and how often it was turned away and tried again before. */
interface Greeting {
  readonly tookMs: number;
  readonly refusals: number;
}

/** Dials and says hello, again where it was turned away, as the dialer of a node does. */
async function greet(port: number): Promise<Greeting> {
  const startedMs = performance.now();
  for (let refusals = 0; ; refusals++) {
    try {
      const { connection } = await dialEnd('127.0.0.1', port);
      const tookMs = performance.now() - startedMs;
      connection.notify({ kind: 'goodbye', reason: 'stopping' });
      await connection.close();
      return { tookMs, refusals };
    } catch (error) {
      if (refusals === TRIES_MAX) throw error;
      await delay(AGAIN_MS);
    }
  }
}

test('H1 500 half-open connections keep no honest peer out, cost little, and are gone in 6 s', async (t) => {
  const cleanup = new Cleanup();
  try {
    const node = await startNode(cleanup);
    const { nodePort } = node;
    // Pays for code that has never run, and tells what the machine can do just now.
    const calm: number[] = [];
    for (let round = 0; round < 60; round++) calm.push((await greet(nodePort)).tookMs);
    const crowd = new HalfOpenCrowd(nodePort);
    cleanup.add(() => crowd.end());
    const before = residentBytes(node.child.pid);
    await crowd.press(500);
    // Whoever is shown out takes at most this to go.
    await delay(LIMITS.closeGraceMs + 100);
    const times: number[] = [];
    let openMax = 0;
    let refused = 0;
    for (let round = 0; round < repeats(60, 1_000); round++) {
      const { tookMs, refusals } = await greet(nodePort);
      times.push(tookMs);
      refused += refusals;
      openMax = Math.max(openMax, crowd.open);
    }
    const grown = residentBytes(node.child.pid) - before;
    crowd.relax();
    const left = crowd.open;
    const { value } = await eventually(
      {
        timeoutMs: LIMITS.closeGraceMs + 100,
        what: 'only those are left who may wait',
        onLate: () => `${crowd.open}`,
      },
      () => crowd.open <= LIMITS.pendingHandshakes && { pending: crowd.open },
    );
    await eventually(
      { timeoutMs: 10_000, what: 'the crowd is gone', onLate: () => `${crowd.open} are left` },
      () => crowd.open === 0,
    );
    const goneMs = performance.now() - crowd.lastConnectAtMs;
    const p99 = percentile(times, 99);
    t.diagnostic(
      `${openMax} open at once while they came back, ${left} when that ended; ${crowd.closed} closed in all; ${refused} honest tries turned away`,
    );
    // A busy machine accepts in bursts, and a burst may fill every place.
    assert.ok(refused <= times.length / 10, `${refused} honest tries of ${times.length} were turned away`);
    const calmP99 = percentile(calm, 99);
    assert.ok(
      p99 <= Math.max(inTime(250), 2 * calmP99),
      `honest handshake p99 ${p99.toFixed(0)} ms, before ${calmP99.toFixed(0)} ms`,
    );
    assert.ok(grown <= 64 * MIB, `${(grown / MIB).toFixed(1)} MiB more`);
    assert.ok(goneMs <= inTime(6_000), `gone after ${goneMs.toFixed(0)} ms`);
    promise(
      t,
      'H1',
      `≤ ${value.pending} pending (one source on loopback; elsewhere ≤ ${LIMITS.pendingHandshakesPerSource}), honest handshake p99 ${p99.toFixed(0)} ms of ${times.length} (nobody else there: ${calmP99.toFixed(0)} ms), memory +${(grown / MIB).toFixed(1)} MiB, gone ${(goneMs / 1000).toFixed(1)} s`,
    );
  } finally {
    await cleanup.dispose();
  }
});

/** A peer that says hello and then reads, until it is paused. */
async function reader(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(baseFrame({ kind: 'health-request', hello: helloOf('slow') }));
  await once(socket, 'data');
  socket.on('data', () => undefined);
  return socket;
}

test('P8 a peer that stops reading is closed as a slow peer, at a bounded cost, and nobody else notices', async (t) => {
  const { file, execArgv } = program(new URL('../support/sender-process.ts', import.meta.url));
  const sender = fork(file, { execArgv: [...execArgv] });
  const cleanup = new Cleanup();
  cleanup.add(async () => {
    const exit = once(sender, 'exit');
    sender.disconnect();
    await exit;
  });
  try {
    const [{ port }] = (await once(sender, 'message')) as [{ port: number }];
    const ask = async (command: { bytesPerSecond?: number } = {}): Promise<SenderReport> => {
      sender.send(command);
      const [report] = (await once(sender, 'message')) as [SenderReport];
      return report;
    };
    const others = await Promise.all([dialEnd('127.0.0.1', port), dialEnd('127.0.0.1', port)]);
    for (const { connection } of others) cleanup.add(() => connection.close());
    const slow = await reader(port);
    cleanup.add(() => slow.destroy());
    await ask({ bytesPerSecond: 20 * MIB });
    // Memory and code settle while it still reads.
    await delay(2_000);
    await ask();
    await delay(2_000);
    const before = await ask();
    slow.pause();
    const pausedAtMs = Date.now();
    const seen: SenderReport[] = [];
    await eventually({ timeoutMs: 15_000, everyMs: 250, what: 'the slow peer is closed' }, async () => {
      seen.push(await ask());
      return seen.at(-1)!.ended;
    });
    const { ended, sheds } = seen.at(-1)!;
    const tookMs = ended!.atMs - pausedAtMs;
    const rttMs = seen.flatMap((report) => report.rttMs);
    const [p99, p99Before] = [percentile(rttMs, 99), percentile(before.rttMs, 99)];
    const grown = Math.max(...seen.map((report) => report.rssBytesMax)) - before.rssBytesMax;
    const queued = Math.max(...seen.map((report) => report.queuedBytesMax));
    t.diagnostic(
      `${ended!.code} after ${tookMs} ms; at most ${(queued / MIB).toFixed(1)} MiB queued; others p99 ${p99.toFixed(1)} ms of ${rttMs.length}, before ${p99Before.toFixed(1)} ms of ${before.rttMs.length}`,
    );
    assert.equal(ended!.code, 'slow-peer');
    assert.equal(sheds, 1);
    assert.ok(tookMs <= inTime(12_000), `${tookMs} ms`);
    assert.ok(queued <= LIMITS.sendQueueBytesHard * 1.1, `${queued} bytes queued`);
    assert.ok(grown <= LIMITS.sendQueueBytesHard * 1.1, `${(grown / MIB).toFixed(1)} MiB more memory`);
    // Below some ms it is the machine's own noise that is compared.
    assert.ok(
      p99 <= Math.max(2 * p99Before, inTime(10)),
      `others p99 ${p99.toFixed(1)} ms, before ${p99Before.toFixed(1)} ms`,
    );
    promise(
      t,
      'P8',
      `sender memory +${(grown / MIB).toFixed(1)} MiB, slow-peer after ${(tookMs / 1000).toFixed(1)} s, p99 of others ${p99.toFixed(1)} ms (before ${p99Before.toFixed(1)} ms)`,
    );
  } finally {
    await cleanup.dispose();
  }
});
