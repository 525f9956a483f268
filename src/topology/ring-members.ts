/**
 * Which nodes form the ring. Pure; every node computes it from its own view, and equal views give equal rings.
 * With an old peer present all nodes are in, because old peers compute it so. Otherwise the ring takes only
 * nodes that can all reach one another: every hop, the way back to the first node, and the results to whoever
 * serves the client.
 */
import type { DeviceCapabilities } from '../protocol/index.js';
import { ringOrder } from './partition.js';

/** A present node that takes no layers, and why, in words. */
export interface RingOutsider {
  readonly id: string;
  readonly reason: string;
}

/** Who forms the ring. */
export interface RingMembers {
  /** Ids in ring order: (memory, id) descending. */
  readonly members: readonly string[];
  readonly outsiders: readonly RingOutsider[];
}

/** What the choice is made from; a `ViewSnapshot` has all of it. */
export interface RingInput {
  readonly nodes: ReadonlyMap<string, DeviceCapabilities>;
  readonly edges: ReadonlyArray<{ readonly fromId: string; readonly toId: string }>;
  readonly legacyIds: ReadonlySet<string>;
}

/** Takes nodes in ring order; one that has no edge, in either direction, with every node taken so far stays out. */
export function ringMembers(input: RingInput): RingMembers {
  const order = ringOrder(input.nodes);
  if (input.legacyIds.size > 0) return { members: order, outsiders: [] };
  const neighbours = new Map<string, Set<string>>(order.map((id) => [id, new Set()]));
  for (const { fromId, toId } of input.edges) {
    neighbours.get(fromId)?.add(toId);
    neighbours.get(toId)?.add(fromId);
  }
  const members: string[] = [];
  const outsiders: RingOutsider[] = [];
  for (const id of order) {
    const missing = members.filter((member) => !neighbours.get(id)!.has(member));
    if (missing.length === 0) members.push(id);
    else outsiders.push({ id, reason: `no connection with ${listed(missing)}, which the ring needs` });
  }
  return { members, outsiders };
}

/** Three names say enough; a mesh may have a thousand. */
function listed(ids: readonly string[]): string {
  const shown = ids.slice(0, 3).join(', ');
  return ids.length > 3 ? `${shown} and ${ids.length - 3} more` : shown;
}
