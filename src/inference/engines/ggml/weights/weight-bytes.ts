/** How much memory the weights of a shard take, before anything is loaded. Called by `child/shards.ts`. */
import type { Ggml } from '../library/index.js';
import { findMatrix } from './matrix.js';
import type { Quantisation } from './quantisation.js';
import type { ShardSource } from './shard-weights.js';
import { planWeights } from './weight-plan.js';

/** Bytes of the shard's tensors, mapped or made. Throws `checkpoint-invalid`. */
export function weightBytes(ggml: Ggml, source: ShardSource, quantisation: Quantisation): number {
  const { architecture, tensors, startLayer, endLayer, mlx } = source;
  const form = { quantisation, ...(mlx === undefined ? {} : { mlx }) };
  return planWeights(architecture, startLayer, endLayer)
    .map(({ ref, shape, role }) => {
      if (shape.length === 1) return shape[0]! * 4;
      const { rows, columns, type } = findMatrix(tensors, ref, shape, form, role === 'head');
      return rows * ggml.ggml_row_size(type, columns);
    })
    .reduce((sum, bytes) => sum + bytes, 0);
}
