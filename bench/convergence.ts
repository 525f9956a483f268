/**
 * How fast a mesh of N nodes agrees, in one process over the in-memory transport, and what a join costs. The
 * ceiling is the same full mesh of memory streams on which every pair says one hello and nothing else: what the
 * event loop needs for the connections alone.
 */
import { createMemoryNetwork, type Transport } from '../src/protocol/index.js';
import { seededRandom, systemClock } from '../src/shared/index.js';
import { type MeshWorld, meshNode } from '../test/support/memory-mesh.js';
import type { Row } from './table.js';

/** What one mesh did. */
export interface Convergence {
  readonly nodes: number;
  /** From the start of the last node to equal, full views everywhere. */
  readonly convergedMs: number;
  /** Topology messages sent because of the last join, over the nodes present. */
  readonly messagesPerNode: number;
}

const QUIET_MS = 600;
const DEADLINE_MS = 20_000;

/** Starts N nodes, each dialling all before it, and watches the last one join. */
export async function converge(count: number): Promise<Convergence> {
  const random = seededRandom(count);
  const world: MeshWorld = {
    clock: systemClock,
    random,
    network: createMemoryNetwork({ clock: systemClock, random }),
  };
  const ids = Array.from({ length: count }, (_, index) => `n${String(index).padStart(3, '0')}`);
  const nodes = ids.map((id, index) => meshNode(world, { id, dials: ids.slice(0, index) }));
  const full = () =>
    nodes.every((node) => {
      const view = node.mesh.topology();
      return view.nodes.size === count && view.edges.length === count * (count - 1);
    });
  const sent = () => nodes.reduce((sum, node) => sum + node.counters.topologyMessagesSent(), 0);
  try {
    const last = nodes.at(-1)!;
    for (const node of nodes.slice(0, -1)) await node.start();
    await until(() => nodes.slice(0, -1).every((node) => node.mesh.topology().nodes.size === count - 1));
    await pause(QUIET_MS);
    const before = sent();
    const startedAtMs = systemClock.now();
    await last.start();
    await until(full);
    const convergedMs = systemClock.now() - startedAtMs;
    await pause(QUIET_MS);
    return { nodes: count, convergedMs, messagesPerNode: (sent() - before) / count };
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

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

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.now() + DEADLINE_MS;
  while (!condition()) {
    if (systemClock.now() > deadlineMs) throw new Error('the mesh did not agree in time');
    await pause(5);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve));
}
