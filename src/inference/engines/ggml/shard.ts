/**
 * A loaded shard: its weights, the graphs of the last steps' shapes, and the step itself. One step at a time, over the
 * tokens of several requests. Called by `child/scheduler.ts`, in the engine's process.
 */
import type { Architecture } from '../../../models/index.js';
import { ExoError } from '../../../shared/index.js';
import type { CacheShape } from './cache/sequence-cache.js';
import { KeptGraphs } from './graph/kept-graphs.js';
import { fillMask } from './graph/mask.js';
import type { StepGraph } from './graph/step-graph.js';
import type { StepPart } from './graph/step-shape.js';
import { type Device, type ElementType, type Pointer, TYPE } from './library/index.js';
import { EmbeddingRows } from './weights/embedding-rows.js';
import { type ShardCost, shardCost } from './weights/layer-cost.js';
import type { MadeFiles } from './weights/made-files.js';
import { findMlx } from './weights/mlx-tensor.js';
import type { Quantisation } from './weights/quantisation.js';
import { type ShardSource, ShardWeights } from './weights/shard-weights.js';
import { findTensor } from './weights/stored-tensor.js';

/** How a shard computes. */
export interface ShardOptions {
  /** Type of the cache; `auto` is float32 for a float32 checkpoint, so that it computes exactly, else float16. */
  readonly cacheType: 'auto' | 'f16' | 'f32';
  readonly quantisation: Quantisation;
}

/** The part of one request in a step. */
export interface StepInput extends StepPart {
  /** [sequence, hidden]. */
  readonly hidden: Float32Array;
  /** Where its logits are to be; absent: in memory of their own. */
  readonly into?: Float32Array;
}

/** A shard, until it is closed. */
export class Shard {
  readonly architecture: Architecture;
  readonly cacheShape: CacheShape;
  /** What a step reads and computes. */
  readonly cost: ShardCost;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly #device: Device;
  readonly #weights: ShardWeights;
  readonly #embedding: EmbeddingRows | undefined;
  readonly #graphs: KeptGraphs;

  /** Throws `checkpoint-invalid` or `out-of-memory`. */
  constructor(device: Device, source: ShardSource, options: ShardOptions, made?: MadeFiles) {
    const { architecture, tensors, startLayer, endLayer } = source;
    const { hidden, vocab, kvHeads, headDim, embedding, embeddingScale } = architecture;
    this.#device = device;
    this.architecture = architecture;
    this.isFirst = startLayer === 0;
    this.isLast = endLayer === architecture.layers.length - 1;
    const type = cacheType(source, options);
    this.cacheShape = {
      layers: endLayer - startLayer + 1,
      rowElements: kvHeads * headDim,
      type,
      elementBytes: type === TYPE.F32 ? 4 : 2,
    };
    this.cost = shardCost(source, options.quantisation);
    this.#weights = new ShardWeights(device, source, options.quantisation, made);
    const shape = [vocab, hidden];
    this.#embedding = this.isFirst
      ? new EmbeddingRows(
          device.ggml,
          findMlx(tensors, embedding, shape, source.mlx) ?? findTensor(tensors, embedding, shape),
          embeddingScale,
        )
      : undefined;
    const isExact = type === TYPE.F32;
    this.#graphs = new KeptGraphs(device, { architecture, weights: this.#weights, startLayer, isExact });
  }

  /** Memory of its own, the mapped files aside. */
  get ownBytes(): number {
    return this.#weights.ownBytes;
  }

  /** Embeddings of tokens, [tokens, hidden]; only on the first shard. Throws `tensor-invalid`. */
  embed(tokens: ArrayLike<number>): Float32Array {
    if (this.#embedding === undefined) {
      throw new ExoError('engine-failed', 'tokens enter at layer 0 and hidden states at any other layer');
    }
    return this.#embedding.read(tokens);
  }

  /**
   * One step; the caches have the room for it and grow by it. Gives [sequence, hidden] of each part, or from the last
   * shard [vocab] of those that want logits and nothing of the others. Throws `engine-failed` or `out-of-memory`.
   */
  async step(parts: readonly StepInput[]): Promise<(Float32Array | undefined)[]> {
    const graph = this.#graphs.get(parts);
    this.#setInputs(graph, parts);
    await this.#device.compute(graph.graph);
    for (const { cache, sequence } of parts) cache.length += sequence;
    return this.#outputs(graph, parts);
  }

  /** No step may run. */
  close(): void {
    this.#graphs.close();
    this.#weights.close();
    this.#embedding?.close();
  }

  #setInputs(graph: StepGraph, parts: readonly StepInput[]): void {
    const { hidden } = this.architecture;
    const positions: number[] = [];
    const outputRows: number[] = [];
    for (const [index, part] of parts.entries()) {
      const { cache, sequence } = part;
      this.#set(graph.hidden, part.hidden, positions.length * hidden * 4);
      const rows = Array.from({ length: sequence }, (_, row) => cache.length + row);
      positions.push(...rows);
      if (part.wantsLogits) outputRows.push(positions.length - 1);
      const inputs = graph.parts[index]!;
      this.#set(inputs.rows, BigInt64Array.from(rows, BigInt));
      for (const [window, tensor] of inputs.masks) {
        const mask = new Uint16Array(sequence * inputs.positions);
        fillMask(mask, cache.length, sequence, inputs.positions, window === 0 ? undefined : window);
        this.#set(tensor, mask);
      }
    }
    this.#set(graph.positions, Int32Array.from(positions));
    if (graph.outputRows !== undefined) this.#set(graph.outputRows, Int32Array.from(outputRows));
  }

  #set(tensor: Pointer, values: Float32Array | Int32Array | BigInt64Array | Uint16Array, offset = 0): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#device.ggml.ggml_backend_tensor_set(tensor, bytes, offset, bytes.length);
  }

  #outputs(graph: StepGraph, parts: readonly StepInput[]): (Float32Array | undefined)[] {
    const { hidden, vocab } = this.architecture;
    let offset = 0;
    return parts.map(({ sequence, wantsLogits, into }) => {
      if (graph.output === undefined || (this.isLast && !wantsLogits)) return undefined;
      const values = this.isLast ? (into ?? new Float32Array(vocab)) : new Float32Array(sequence * hidden);
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      this.#device.ggml.ggml_backend_tensor_get(graph.output, bytes, offset, bytes.length);
      offset += bytes.length;
      return values;
    });
  }
}

function cacheType(
  { architecture, tensors, startLayer }: ShardSource,
  { cacheType: wanted, quantisation }: ShardOptions,
): ElementType {
  if (wanted !== 'auto') return wanted === 'f32' ? TYPE.F32 : TYPE.F16;
  const { q } = architecture.layers[startLayer]!.weights;
  const isExact = quantisation === 'none' && tensors[q.tensor]?.type === 'F32';
  return isExact ? TYPE.F32 : TYPE.F16;
}
