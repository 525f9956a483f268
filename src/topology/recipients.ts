/**
 * Who is told what, so that a change costs about one message per node present in a full mesh and still reaches every node
 * of a sparse one. Pure functions over a view; `push-planner.ts` holds the queue.
 *
 * An entry that somebody else changed travels outwards: a node that hears it first passes it to those of its
 * neighbours that are not linked with the origin, because the origin tells its own neighbours itself. Where several of
 * the origin's neighbours could pass it on to one node, only one of them does, chosen by rank. (Each leaves it
 * only to one of lower rank that it knows to be linked with both, so the lowest always does it.) A node further
 * out leaves the neighbours of the origin's neighbours to those, and tells the rest. Where a link that
 * somebody relied on has just gone, the periodic sync repairs it.
 */
import type { TopologyEntry } from '../protocol/index.js';
import { linked, linkedIds } from './reach.js';
import type { TopologyView } from './view.js';

/** Which of `neighbours` to pass another node's changed entry to. `from` is who told it. */
export function recipients(
  view: TopologyView,
  originId: string,
  neighbours: Iterable<string>,
  from?: string,
): string[] {
  if (originId === view.id) return [...neighbours];
  const near = new Set(neighbours);
  const besideOrigin = near.has(originId) || linked(view.entries, view.id, originId);
  const rivals = linkedIds(view.entries, originId).filter((id) => id !== view.id);
  return [...near].filter((id) => {
    if (id === originId || id === from || linked(view.entries, id, originId)) return false;
    return !rivals.some(
      (rival) => linked(view.entries, rival, id) && (!besideOrigin || outranks(rival, view.id, id)),
    );
  });
}

/** What a node's own entry changed since it was last told. */
export interface OwnChange {
  /** Ends of new edges. */
  readonly added: readonly string[];
  /** Far ends of edges, dialled or not, that are gone. */
  readonly gone: readonly string[];
  /** Something else that all need to hear: capabilities, a raised epoch, an edge that came back or changed its description. */
  readonly other: boolean;
}

/** Compares two states of the own entry. */
export function ownChange(before: TopologyEntry, after: TopologyEntry): OwnChange {
  const had = new Map(before.edges.map((edge) => [edge.toId, edge.description]));
  const has = new Map(after.edges.map((edge) => [edge.toId, edge.description]));
  const hadLost = new Map(before.lost.map((loss) => [loss.id, loss.epoch]));
  const hasLost = new Map(after.lost.map((loss) => [loss.id, loss.epoch]));
  const added = [...has.keys()].filter((id) => !had.has(id));
  const gone = [
    ...[...had.keys()].filter((id) => !has.has(id)),
    ...[...hasLost].filter(([id, epoch]) => hadLost.get(id) !== epoch).map(([id]) => id),
  ];
  return {
    added,
    gone,
    other:
      // There and back again: somebody may have been given what was in between (in the answer to a sync).
      (before.version !== after.version && added.length === 0 && gone.length === 0) ||
      before.epoch !== after.epoch ||
      JSON.stringify(before.capabilities) !== JSON.stringify(after.capabilities) ||
      [...has].some(([id, description]) => had.has(id) && had.get(id) !== description) ||
      [...hadLost.keys()].some((id) => !hasLost.has(id)),
  };
}

/** Who is told of an own change now, and who may hear it from a delegate. */
export interface OwnPlan {
  /** Told at once. */
  readonly now: ReadonlySet<string>;
  /** Told at once and asked to pass it on to all their neighbours. */
  readonly delegates: ReadonlySet<string>;
  /** New ends that are to announce the edge; who of the own neighbours is not linked with them after a while is told then. */
  readonly newcomers: readonly string[];
}

/**
 * Who is told of a change of the own entry.
 * - A newcomer (a start later than ours) that this node dialled tells its neighbours of all that dialled it in one message: N
 *   messages for a join instead of N².
 * - A neighbour that vanished was noticed by all that were linked with it: each tells only those that were not, and one
 *   of them, chosen by rank, which passes all it hears on in one message.
 */
export function planOwn(view: TopologyView, change: OwnChange, neighbours: ReadonlySet<string>): OwnPlan {
  const now = new Set<string>();
  const delegates = new Set<string>();
  const newcomers: string[] = [];
  const tellAll = () => {
    for (const id of neighbours) now.add(id);
  };
  if (change.other) tellAll();
  for (const id of change.added) {
    const epoch = neighbours.has(id) ? view.entry(id)?.epoch : undefined;
    if (epoch !== undefined && epoch > view.own.epoch) newcomers.push(id);
    else tellAll();
  }
  for (const id of change.gone) {
    // Still connected the other way round: the others noticed nothing.
    if (neighbours.has(id)) {
      tellAll();
      continue;
    }
    const witnesses = view.formerLinks(id);
    const collector = lowestRank(
      [view.id, ...[...neighbours].filter((neighbour) => witnesses.has(neighbour))],
      id,
    );
    if (collector === view.id) {
      tellAll();
      continue;
    }
    delegates.add(collector);
    for (const neighbour of neighbours) {
      if (!witnesses.has(neighbour) || !linked(view.entries, collector, neighbour)) now.add(neighbour);
    }
  }
  for (const id of delegates) now.add(id);
  return { now, delegates, newcomers };
}

/** Rendezvous order: every node ranks the same, and the work for different subjects falls on different nodes. */
function outranks(a: string, b: string, subject: string): boolean {
  const left = rank(a, subject);
  const right = rank(b, subject);
  return left < right || (left === right && a < b);
}

function lowestRank(ids: readonly string[], subject: string): string {
  return ids.reduce((best, id) => (outranks(id, best, subject) ? id : best));
}

/** FNV-1a over both ids: cheap and evenly spread; nothing depends on it being hard to guess. */
function rank(id: string, subject: string): number {
  let hash = 0x811c9dc5;
  for (const text of [id, '\0', subject]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  // The last byte alone would order ids that differ only at their end.
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}
