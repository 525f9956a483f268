/** Which shape each tensor of a checkpoint must have, by its architecture. Pure. */
import type { Architecture, LayerWeights, WeightRef } from './architecture.js';

/** One tensor as it must be. Matrices are [rows, columns]. */
export interface WantedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * The tensors of the layers from `start` to `end`, both included, in the order in which they are computed; with the
 * embedding for layer 0, with the final norm and the head for the last. Each once, also where parts of the model share it.
 * Throws a RangeError for layers that are not there.
 */
export function wantedTensors(
  architecture: Architecture,
  start: number,
  end: number,
): readonly WantedTensor[] {
  const { layers, hidden, vocab } = architecture;
  if (
    !(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end < layers.length)
  ) {
    throw new RangeError(`layers ${start} to ${end} of ${layers.length}`);
  }
  const table = [vocab, hidden];
  const shapes = new Map<string, readonly number[]>();
  const want = (ref: WeightRef, shape: readonly number[]) => {
    // Parts of a fused tensor: it ends with the last of them.
    const rows = Math.max(ref.rows?.[1] ?? shape[0]!, shapes.get(ref.tensor)?.[0] ?? 0);
    shapes.set(ref.tensor, [rows, ...shape.slice(1)]);
  };
  if (start === 0) want(architecture.embedding, table);
  const parts = Object.entries(layerShapes(architecture)) as Array<[keyof LayerWeights, readonly number[]]>;
  for (const { weights } of layers.slice(start, end + 1)) {
    for (const [part, shape] of parts) {
      const ref = weights[part];
      if (ref !== undefined) want(ref, shape);
    }
  }
  if (end === layers.length - 1) {
    want(architecture.finalNorm, [hidden]);
    want(architecture.head, table);
  }
  return [...shapes].map(([name, shape]) => ({ name, shape }));
}

/** The shape of every part that a layer can have: [out, in], or [size]. */
export function layerShapes({
  hidden,
  heads,
  kvHeads,
  headDim,
  intermediate,
}: Architecture): Readonly<Record<keyof LayerWeights, readonly number[]>> {
  const [q, kv] = [heads * headDim, kvHeads * headDim];
  return {
    attentionNorm: [hidden],
    q: [q, hidden],
    k: [kv, hidden],
    v: [kv, hidden],
    qBias: [q],
    kBias: [kv],
    vBias: [kv],
    qNorm: [headDim],
    kNorm: [headDim],
    o: [hidden, q],
    oBias: [hidden],
    attentionPostNorm: [hidden],
    ffnNorm: [hidden],
    gate: [intermediate, hidden],
    up: [intermediate, hidden],
    down: [hidden, intermediate],
    ffnPostNorm: [hidden],
  };
}
