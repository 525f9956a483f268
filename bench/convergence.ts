/**
 * How fast a mesh of N nodes agrees, in one process over the in-memory transport, and what a join costs. The
 * ceiling is the same full mesh of memory streams on which every pair says one hello and nothing else: what the
 * event loop needs for the connections alone.
 */
import { createMemoryNetwork, type Transport } from '../src/protocol/index.js';
import { seededRandom, systemClock } from '../src/shared/index.js';
import { converge } from '../test/support/convergence.js';
import type { Row } from './table.js';

/** One row per size of mesh, and one for what a join costs. */
export async function convergenceRows(quick: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of quick ? [10, 20] : [10, 20, 50, 100]) {
    const ours = await converge(count);
    const bareMs = await bareMesh(count);
    rows.push({
      name: `${count} nodes agree after the last joins`,
      unit: 'ms',
      ours: ours.convergedMs,
      ceiling: bareMs,
      against: 'one hello per new pair',
      ratio: ours.convergedMs / bareMs,
      goal: '≤ 2000 ms',
      met: ours.convergedMs <= 2_000,
    });
    rows.push({
      name: `messages for one join of ${count}`,
      unit: 'per node present',
      ours: ours.messagesPerNode,
      ceiling: 1,
      against: 'one push to each',
      ratio: ours.messagesPerNode,
      goal: '≤ 3',
      met: ours.messagesPerNode <= 3,
    });
  }
  return rows;
}

/** The last of `count` machines connects to all others and hears 64 bytes from each. */
async function bareMesh(count: number): Promise<number> {
  const random = seededRandom(count);
  const network = createMemoryNetwork({ clock: systemClock, random });
  const names = Array.from({ length: count }, (_, index) => `b${index}`);
  const listeners = names.slice(0, -1).map((name) => {
    const listener = network.transport(name).listen({ host: name, port: 1 }, (stream) => {
      stream.onData = (chunk) => stream.write([Buffer.from(chunk)]);
      stream.onEnd = () => stream.end();
    });
    return listener;
  });
  for (const listener of listeners) await listener.start();
  const last: Transport = network.transport(names.at(-1)!);
  const startedAtMs = systemClock.now();
  await Promise.all(
    names.slice(0, -1).map(async (host) => {
      const stream = await last.dial({ host, port: 1 }, { timeoutMs: 5_000 });
      await new Promise<void>((resolve) => {
        stream.onData = () => resolve();
        stream.write([Buffer.alloc(64)]);
      });
      stream.destroy();
    }),
  );
  const tookMs = systemClock.now() - startedAtMs;
  for (const listener of listeners) await listener.stop();
  return tookMs;
}
