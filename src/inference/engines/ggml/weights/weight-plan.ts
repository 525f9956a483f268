/**
 * Which tensors a shard needs and what shape each must have: the list that is then mapped, copied or quantised. From the
 * architecture alone; reads nothing. Called by `shard-weights.ts`.
 */
import {
  type Architecture,
  type LayerWeights,
  layerShapes,
  type WeightRef,
} from '../../../../models/index.js';

/** Weights of one layer, by role. */
export type LayerRole = keyof LayerWeights;

/** One tensor that is needed. */
export interface PlannedWeight {
  /** The layer's index in the shard; -1 for what comes after the last layer. */
  readonly layer: number;
  readonly role: LayerRole | 'finalNorm' | 'head';
  readonly ref: WeightRef;
  /** [out, in] or [size]. */
  readonly shape: readonly number[];
  /** Added to each element (norms that are kept around 0). */
  readonly plus: 0 | 1;
}

/** Everything that layers `start` to `end` (inclusive) need, the embedding aside. */
export function planWeights(architecture: Architecture, start: number, end: number): PlannedWeight[] {
  const shapes = layerShapes(architecture);
  const plus = architecture.normPlusOne ? 1 : 0;
  const plan: PlannedWeight[] = [];
  for (let layer = start; layer <= end; layer += 1) {
    const weights = architecture.layers[layer]!.weights;
    for (const role of Object.keys(weights) as LayerRole[]) {
      const ref = weights[role];
      if (ref === undefined) continue;
      const isNorm = role.endsWith('Norm');
      plan.push({ layer: layer - start, role, ref, shape: shapes[role], plus: isNorm ? plus : 0 });
    }
  }
  if (end === architecture.layers.length - 1) {
    const { finalNorm, head, hidden, vocab } = architecture;
    plan.push({ layer: -1, role: 'finalNorm', ref: finalNorm, shape: [hidden], plus });
    plan.push({ layer: -1, role: 'head', ref: head, shape: [vocab, hidden], plus: 0 });
  }
  return plan;
}
