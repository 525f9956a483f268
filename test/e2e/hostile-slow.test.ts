/** A stranger that takes its time: half a minute of one byte a second, in a file of its own because nobody need wait for it. */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inTime } from '../support/eventually.js';
import { assertHealthy, withNode } from '../support/one-node.js';
import { residentBytes } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { header, openLegacy, sendRaw } from '../support/raw-client.js';

const MIB = 1024 * 1024;

test('P5 bodies of one byte a second are cut, and cost no memory before', async (t) => {
  await withNode(async (node) => {
    const count = 8;
    const before = residentBytes(node.child.pid);
    // In state legacy (after a health check) the largest legal body is announced; the fresh one never says more than its header.
    const sockets = await Promise.all(Array.from({ length: count }, () => openLegacy(node.nodePort)));
    const started = performance.now();
    const cut = sockets.map(
      (socket) =>
        new Promise<number>((resolve) => {
          socket.on('error', () => undefined);
          socket.on('data', () => undefined);
          socket.on('close', () => resolve(performance.now() - started));
          socket.write(header(0x12, 256 * MIB));
        }),
    );
    const fresh = sendRaw(node.nodePort, Buffer.concat([header(0x01, 8 * 1024), Buffer.from('{')]), 10_000);
    const drip = setInterval(() => {
      for (const socket of sockets) if (!socket.destroyed) socket.write('x');
    }, 1_000);
    try {
      await delay(3_000);
      const grown = residentBytes(node.child.pid) - before;
      t.diagnostic(
        `${count} announced bodies of 256 MiB: resident memory ${(grown / MIB).toFixed(1)} MiB more`,
      );
      assert.ok(grown <= 16 * MIB, `${(grown / MIB).toFixed(1)} MiB for bodies that never came`);
      const { closedAfterMs } = await fresh;
      assert.ok(closedAfterMs <= inTime(6_000), `fresh: ${closedAfterMs.toFixed(0)} ms`);
      const times = await Promise.all(cut);
      t.diagnostic(
        `cut after ${Math.max(...times).toFixed(0)} ms, fresh after ${closedAfterMs.toFixed(0)} ms`,
      );
      assert.ok(Math.max(...times) <= 30_000 + inTime(3_000));
      promise(
        t,
        'P5',
        `${count} bodies cut ≤ ${(Math.max(...times) / 1000).toFixed(1)} s; ${(grown / MIB).toFixed(1)} MiB of memory for all`,
      );
      await assertHealthy(node);
    } finally {
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
    }
  });
});
