/**
 * Which nodes compute an answer, and which layers each of them holds. The entry node decides, once for each attempt, and the
 * decision travels with the prompt, so that no two nodes have to come to it by themselves. A ring with an old peer in it
 * is the original's, whatever is said here: old peers compute it themselves. Types only.
 */

/** What a client or the operator asks for. */
export type Placement =
  /** The fewest nodes that do it best, by what was measured. */
  | { readonly kind: 'auto' }
  /** All layers on one node; absent: the one that does it best. */
  | { readonly kind: 'solo'; readonly nodeId?: string }
  /** Over all nodes that can take layers, also where that is slower. */
  | { readonly kind: 'split' }
  /** These layers on these nodes, in order, from the first layer to the last. */
  | { readonly kind: 'manual'; readonly ranges: readonly PlacedRange[] };

/** Layers `startLayer` to `endLayer`, both included, on one node. */
export interface PlacedRange {
  readonly nodeId: string;
  readonly startLayer: number;
  readonly endLayer: number;
}
