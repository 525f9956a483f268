/** The mesh as a view shows it, in one piece. Made by `view.ts`. */
import type { DeviceCapabilities } from '../protocol/index.js';
import type { EntryTable } from './entry.js';
import { bothDirections, claimedEdges, type ShownEdge } from './reach.js';

/** The mesh as it is shown. */
export interface ViewSnapshot {
  readonly nodes: ReadonlyMap<string, DeviceCapabilities>;
  /** Both directions of every edge, except where an old peer is one end and told only its own. */
  readonly edges: readonly ShownEdge[];
  readonly legacyIds: ReadonlySet<string>;
  readonly digest: string;
}

/** What is shown of the entries of `present` nodes. */
export function snapshotOf(entries: EntryTable, present: ReadonlySet<string>, digest: string): ViewSnapshot {
  const nodes = new Map([...present].sort().map((id) => [id, entries.get(id)!.entry.capabilities]));
  const legacyIds = new Set([...present].filter((id) => entries.get(id)!.entry.legacy));
  return { nodes, edges: bothDirections(entries, claimedEdges(entries, present)), legacyIds, digest };
}
