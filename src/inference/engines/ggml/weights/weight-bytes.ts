/** How much memory the weights of a shard take, before anything is loaded. Pure. Called by `child/shards.ts`. */
import type { ShardSource } from './shard-weights.js';
import { findTensor } from './stored-tensor.js';
import { planWeights } from './weight-plan.js';

/** Bytes of the shard's tensors, mapped or copied. Throws `checkpoint-invalid`. */
export function weightBytes({ architecture, tensors, startLayer, endLayer }: ShardSource): number {
  return planWeights(architecture, startLayer, endLayer)
    .map(({ ref, shape }) => findTensor(tensors, ref, shape))
    .reduce((sum, { rows, rowBytes }) => sum + rows * rowBytes, 0);
}
