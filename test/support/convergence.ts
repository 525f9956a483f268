/**
 * How fast a mesh of N nodes agrees, in one process over the in-memory network on real time, and what a join costs.
 * A test holds it to the bounds, a bench prints it beside its ceiling.
 */
import { createMemoryNetwork } from '../../src/protocol/index.js';
import { seededRandom, systemClock } from '../../src/shared/index.js';
import { inTime } from './eventually.js';
import { type MeshWorld, meshNode } from './memory-mesh.js';

/** What one mesh did. */
export interface Convergence {
  readonly nodes: number;
  /** From the start of the last node to equal, full views everywhere. */
  readonly convergedMs: number;
  /** Topology messages sent because of the last join, over the nodes present. */
  readonly messagesPerNode: number;
}

/** Looking costs as much as joining in a large mesh. */
const POLL_MS = 20;
const GROUP = 10;
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
  const full = (part: typeof nodes) =>
    part.every((node) => {
      const { nodes: known, edges } = node.mesh.topology();
      return known.size === part.length && edges.length === part.length * (part.length - 1);
    });
  const sent = () => nodes.reduce((sum, node) => sum + node.counters.topologyMessagesSent(), 0);
  try {
    const last = nodes.at(-1)!;
    const present = nodes.slice(0, -1);
    // In groups: a hundred nodes that start at once keep one process busy with their own liveness for a while.
    for (let at = 0; at < present.length; at += GROUP) {
      for (const node of present.slice(at, at + GROUP)) await node.start();
      await until(() => full(present.slice(0, at + GROUP)));
    }
    for (let before = -1; before !== sent(); ) {
      before = sent();
      await pause(QUIET_MS);
    }
    const before = sent();
    const startedAtMs = systemClock.now();
    await last.start();
    await until(() => full(nodes));
    const convergedMs = systemClock.now() - startedAtMs;
    await pause(QUIET_MS);
    return { nodes: count, convergedMs, messagesPerNode: (sent() - before) / count };
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.now() + inTime(DEADLINE_MS);
  while (!condition()) {
    if (systemClock.now() > deadlineMs) throw new Error('the mesh did not agree in time');
    await pause(POLL_MS);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve));
}
