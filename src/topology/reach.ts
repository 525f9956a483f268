/**
 * What the gossip state means: which edges hold, who is present, and how it is shown. Pure functions over the
 * accepted entries; the view calls them and caches.
 */
import { createHash } from 'node:crypto';
import type { DeviceCapabilities, TopologyResponse, WireEdge } from '../protocol/index.js';
import type { EntryTable, StoredEntry } from './entry.js';

/** A directed edge as it is shown. */
export interface ShownEdge {
  readonly fromId: string;
  readonly toId: string;
  readonly description: string;
}

/** Whether `fromId` claims an edge to `toId` and `toId` has not told that this `fromId` (this start of it) is gone. */
export function holds(entries: EntryTable, fromId: string, toId: string): boolean {
  const from = entries.get(fromId);
  return from?.edges.has(toId) === true && !denied(from, entries.get(toId));
}

/** Whether an edge between the two holds, whoever dialled. */
export function linked(entries: EntryTable, a: string, b: string): boolean {
  return holds(entries, a, b) || holds(entries, b, a);
}

/** Ids that share an edge with `id`, in the order of the table. */
export function linkedIds(entries: EntryTable, id: string): string[] {
  return [...entries.keys()].filter((other) => other !== id && linked(entries, id, other));
}

/**
 * Ids reachable from `roots` over edges that hold, in either direction. An old peer is a leaf that only the edge of a
 * node that dialled it reaches: it can't tell that a neighbour of its own is gone, so nothing is reached through it.
 */
export function reachable(entries: EntryTable, roots: Iterable<string>): Set<string> {
  const dialledBy = new Map<string, string[]>();
  for (const [id, stored] of entries) {
    if (stored.entry.legacy) continue;
    for (const toId of stored.edges.keys()) {
      const diallers = dialledBy.get(toId);
      if (diallers === undefined) dialledBy.set(toId, [id]);
      else diallers.push(id);
    }
  }
  const present = new Set<string>();
  const queue: string[] = [];
  const reach = (id: string) => {
    const stored = entries.get(id);
    if (stored === undefined || present.has(id)) return;
    present.add(id);
    if (!stored.entry.legacy) queue.push(id);
  };
  for (const id of roots) reach(id);
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const stored = entries.get(next)!;
    for (const toId of stored.edges.keys()) if (!denied(stored, entries.get(toId))) reach(toId);
    for (const fromId of dialledBy.get(next) ?? []) if (!denied(entries.get(fromId)!, stored)) reach(fromId);
  }
  return present;
}

/** Edges of present nodes to present nodes, as claimed by their dialling ends. */
export function claimedEdges(entries: EntryTable, present: ReadonlySet<string>): ShownEdge[] {
  const edges: ShownEdge[] = [];
  for (const fromId of present) {
    const from = entries.get(fromId)!;
    for (const [toId, description] of from.edges) {
      if (isShown(entries, present, from, toId)) edges.push({ fromId, toId, description });
    }
  }
  return edges;
}

/**
 * The claimed edges and, where the other end claims none itself, their way back with the same description. Edges
 * that touch an old peer get no way back: it is told by the old peer or it does not exist.
 */
export function bothDirections(entries: EntryTable, claimed: readonly ShownEdge[]): ShownEdge[] {
  const isLegacy = (id: string) => entries.get(id)?.entry.legacy === true;
  const back = claimed
    .filter(({ fromId, toId }) => !isLegacy(fromId) && !isLegacy(toId) && !holds(entries, toId, fromId))
    .map(({ fromId, toId, description }) => ({ fromId: toId, toId: fromId, description }));
  return [...claimed, ...back];
}

/** 16 hex digits over nodes and claimed edges, the same for equal content whatever the order in which it came. */
export function digestOf(entries: EntryTable, present: ReadonlySet<string>): string {
  const hash = createHash('sha256');
  for (const id of [...present].sort()) {
    const stored = entries.get(id)!;
    const shown = new Map([...stored.edges].filter(([toId]) => isShown(entries, present, stored, toId)));
    hash.update(shown.size === stored.edges.size ? stored.shownText : stored.shownTextOf(shown));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Nodes and edges in the original's form: a key in the graph only for nodes with an outgoing edge. */
export function toWireView(
  nodes: ReadonlyMap<string, DeviceCapabilities>,
  edges: readonly ShownEdge[],
): TopologyResponse {
  const peerGraph = new Map<string, WireEdge[]>();
  for (const { fromId, toId, description } of edges) {
    const outgoing = peerGraph.get(fromId);
    if (outgoing === undefined) peerGraph.set(fromId, [{ toId, description }]);
    else outgoing.push({ toId, description });
  }
  return { kind: 'topology-response', nodes, peerGraph };
}

function isShown(
  entries: EntryTable,
  present: ReadonlySet<string>,
  from: StoredEntry,
  toId: string,
): boolean {
  return toId !== from.entry.id && present.has(toId) && !denied(from, entries.get(toId));
}

/** A loss names the start of the node that it is about: a restarted node's edges hold again. */
function denied(from: StoredEntry, to: StoredEntry | undefined): boolean {
  const lostEpoch = to?.lost.get(from.entry.id);
  return lostEpoch !== undefined && lostEpoch >= from.entry.epoch;
}
