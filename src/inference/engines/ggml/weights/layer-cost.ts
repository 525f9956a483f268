/**
 * What the layers of a model cost in the types in which this engine keeps them: bytes that a step reads, bytes of caches,
 * multiply-adds. From the architecture alone; reads nothing and loads no native code. Called by both ends of the engine.
 */
import type { Architecture, MlxQuantization, WeightType } from '../../../../models/index.js';
import type { LayerCost } from '../../../engine.js';
import { type ElementType, TYPE } from '../library/functions.js';
import { type Quantisation, quantisedType } from './quantisation.js';
import type { ShardSource } from './shard-weights.js';
import { planWeights } from './weight-plan.js';

/** In what form matrices lie in the files. */
export interface StoredForm {
  /** Of matrices that are not packed. */
  readonly type: WeightType;
  readonly mlx?: MlxQuantization;
}

/** Bytes of a block and the elements in it. */
const BLOCKS: Readonly<Record<ElementType, readonly [bytes: number, elements: number]>> = {
  [TYPE.F32]: [4, 1],
  [TYPE.F16]: [2, 1],
  [TYPE.BF16]: [2, 1],
  [TYPE.Q4_0]: [18, 32],
  [TYPE.Q4_1]: [20, 32],
  [TYPE.Q8_0]: [34, 32],
  [TYPE.Q4_K]: [144, 256],
  [TYPE.I32]: [4, 1],
  [TYPE.I64]: [8, 1],
};

/** The costs of all layers; the last has the head with it. */
export function layerCosts(
  architecture: Architecture,
  quantisation: Quantisation,
  stored: StoredForm,
): LayerCost[] {
  const { layers, kvHeads, headDim } = architecture;
  const isExact = quantisation === 'none' && stored.mlx === undefined && stored.type === 'F32';
  const cacheBytes = 2 * kvHeads * headDim * (isExact ? 4 : 2);
  return layers.map((_, layer) => {
    let [weightBytes, multiplyAdds] = [0, 0];
    for (const { role, shape } of planWeights(architecture, layer, layer)) {
      const [rows = 0, columns] = shape;
      if (columns === undefined) {
        weightBytes += rows * 4;
        continue;
      }
      const [bytes, elements] = BLOCKS[matrixType(quantisation, stored, columns, role === 'head')];
      weightBytes += (rows * columns * bytes) / elements;
      multiplyAdds += rows * columns;
    }
    // The plan of the last layer has norm and head with it.
    return { weightBytes: Math.ceil(weightBytes), multiplyAdds, cacheBytes };
  });
}

/** The type that most of the model's weights have. */
export function mainType(
  architecture: Architecture,
  quantisation: Quantisation,
  stored: StoredForm,
): ElementType {
  return matrixType(quantisation, stored, architecture.hidden, false);
}

/** What a step of one token reads and computes on a shard. */
export type ShardCost = Pick<LayerCost, 'weightBytes' | 'multiplyAdds'>;

/** The cost of a shard's layers together. */
export function shardCost(source: ShardSource, quantisation: Quantisation): ShardCost {
  const { architecture, tensors, startLayer, endLayer, mlx } = source;
  const type = tensors[architecture.layers[startLayer]!.weights.q.tensor]?.type ?? 'BF16';
  const costs = layerCosts(architecture, quantisation, { type, ...(mlx === undefined ? {} : { mlx }) });
  const mine = costs.slice(startLayer, endLayer + 1);
  const sum = (key: keyof ShardCost) => mine.reduce((total, cost) => total + cost[key], 0);
  return { weightBytes: sum('weightBytes'), multiplyAdds: sum('multiplyAdds') };
}

function matrixType(
  quantisation: Quantisation,
  { type, mlx }: StoredForm,
  columns: number,
  isHead: boolean,
): ElementType {
  if (mlx !== undefined && columns % mlx.groupSize === 0) return mlx.bits === 4 ? TYPE.Q4_1 : TYPE.Q8_0;
  const quantised = quantisedType(quantisation, columns, isHead);
  if (quantised !== undefined) return quantised;
  return type === 'F32' ? TYPE.F32 : type === 'F16' ? TYPE.F16 : TYPE.BF16;
}
