/**
 * The graph of one step: layers of a shard over the tokens of one or several requests. Projections run over all tokens
 * together, which reads each weight once; attention runs per request over its own cache. Built for a shape and used for
 * every step of that shape. Called by `../shard.ts`.
 */
import type { Architecture } from '../../../../models/index.js';
import { ExoError } from '../../../../shared/index.js';
import { type Device, type Pointer, TYPE } from '../library/index.js';
import type { LayerTensors, ShardWeights } from '../weights/shard-weights.js';
import { Operations } from './operations.js';
import { attendedPositions, type StepPart } from './step-shape.js';

/** Nodes of a layer, and those that each request adds to it; both with some room. */
const NODES_PER_LAYER = 48;
const NODES_PER_PART = 16;

/** What a graph is built from. */
export interface GraphSource {
  readonly architecture: Architecture;
  readonly weights: ShardWeights;
  readonly startLayer: number;
  readonly isExact: boolean;
}

/** Inputs of one request. */
export interface PartInputs {
  /** int64 [sequence]: the rows of the cache that are written. */
  readonly rows: Pointer;
  readonly positions: number;
  /** By window; the key of no window is 0. float16 [sequence, positions]. */
  readonly masks: ReadonlyMap<number, Pointer>;
}

/** A built graph. */
export interface StepGraph {
  readonly graph: Pointer;
  /** float32 [tokens, hidden]. */
  readonly hidden: Pointer;
  /** int32 [tokens]. */
  readonly positions: Pointer;
  readonly parts: readonly PartInputs[];
  /** int32: the tokens whose logits are wanted. Only where there are such. */
  readonly outputRows: Pointer | undefined;
  /** float32: logits of those tokens, or hidden states of all; undefined where only the caches were to be filled. */
  readonly output: Pointer | undefined;
  /** The allocator must outlive the graph. */
  close(): void;
}

/** Builds the graph for these parts; their caches must have the room already. Throws `out-of-memory`. */
export function buildStepGraph(
  device: Device,
  allocator: Pointer,
  source: GraphSource,
  parts: readonly StepPart[],
): StepGraph {
  const { ggml } = device;
  const size = 64 + source.weights.layers.length * (NODES_PER_LAYER + NODES_PER_PART * parts.length);
  const context = ggml.newContext(
    size * ggml.ggml_tensor_overhead() + ggml.ggml_graph_overhead_custom(size, false),
  );
  try {
    const graph = ggml.ggml_new_graph_custom(context, size, false);
    const built = new Builder(
      new Operations(ggml, context, source.architecture, source.isExact),
      graph,
      source,
      parts,
    );
    const { output } = built;
    if (!ggml.ggml_gallocr_alloc_graph(allocator, graph)) {
      throw new ExoError('out-of-memory', 'no memory for the intermediate results of a step', {
        retryable: true,
      });
    }
    return { graph, ...built.inputs, output, close: () => ggml.ggml_free(context) };
  } catch (error) {
    ggml.ggml_free(context);
    throw error;
  }
}

class Builder {
  readonly inputs: Omit<StepGraph, 'graph' | 'output' | 'close' | 'parts'> & {
    readonly parts: readonly (Omit<PartInputs, 'masks'> & { readonly masks: Map<number, Pointer> })[];
  };
  readonly output: Pointer | undefined;
  readonly #ops: Operations;
  readonly #graph: Pointer;
  readonly #source: GraphSource;
  readonly #parts: readonly StepPart[];
  readonly #tokens: number;

  constructor(ops: Operations, graph: Pointer, source: GraphSource, parts: readonly StepPart[]) {
    this.#ops = ops;
    this.#graph = graph;
    this.#source = source;
    this.#parts = parts;
    this.#tokens = parts.reduce((sum, part) => sum + part.sequence, 0);
    const wanted = parts.filter((part) => part.wantsLogits).length;
    const isLast = source.weights.head !== undefined;
    this.inputs = {
      hidden: this.#input2d(TYPE.F32, source.architecture.hidden, this.#tokens),
      positions: this.#input1d(TYPE.I32, this.#tokens),
      parts: parts.map((part) => this.#partInputs(part)),
      outputRows: isLast && wanted > 0 ? this.#input1d(TYPE.I32, wanted) : undefined,
    };
    this.output = this.#layers(isLast);
    if (this.output === undefined) return;
    ops.ggml.ggml_set_output(this.output);
    ops.ggml.ggml_build_forward_expand(graph, this.output);
  }

  #input1d(type: number, count: number): Pointer {
    const tensor = this.#ops.ggml.ggml_new_tensor_1d(this.#ops.context, type, count);
    this.#ops.ggml.ggml_set_input(tensor);
    return tensor;
  }

  #input2d(type: number, columns: number, rows: number): Pointer {
    const tensor = this.#ops.ggml.ggml_new_tensor_2d(this.#ops.context, type, columns, rows);
    this.#ops.ggml.ggml_set_input(tensor);
    return tensor;
  }

  #partInputs(part: StepPart): Omit<PartInputs, 'masks'> & { readonly masks: Map<number, Pointer> } {
    return {
      rows: this.#input1d(TYPE.I64, part.sequence),
      positions: attendedPositions(part),
      masks: new Map(),
    };
  }

  /** Made where one is first used: an input that no operation reads gets no memory. */
  #mask(at: number, window: number): Pointer {
    const { masks, positions } = this.inputs.parts[at]!;
    const mask = masks.get(window) ?? this.#input2d(TYPE.F16, positions, this.#parts[at]!.sequence);
    masks.set(window, mask);
    return mask;
  }

  #layers(isLast: boolean): Pointer | undefined {
    const { architecture, weights } = this.#source;
    let x = this.inputs.hidden;
    for (const [index, layer] of weights.layers.entries()) {
      const isFinal = isLast && index === weights.layers.length - 1;
      const attention = this.#attention(x, layer, index, isFinal);
      // Only the caches were to be filled.
      if (attention === undefined) return undefined;
      // After the last attention only the tokens matter whose logits are wanted.
      const rows = isFinal ? this.inputs.outputRows : undefined;
      const residual = rows === undefined ? x : this.#rows(x, rows);
      x = this.#feedForward(this.#ops.add(residual, this.#attentionOut(attention, layer, rows)), layer);
    }
    if (!isLast) return x;
    const logits = this.#ops.project(this.#ops.norm(x, weights.finalNorm!), weights.head!);
    return this.#ops.softcap(logits, architecture.logitSoftcap);
  }

  #rows(x: Pointer, rows: Pointer): Pointer {
    return this.#ops.ggml.ggml_get_rows(this.#ops.context, x, rows);
  }

  #attention(x: Pointer, layer: LayerTensors, index: number, isFinal: boolean): Pointer | undefined {
    const { architecture, weights, startLayer } = this.#source;
    const { ggml, context } = this.#ops;
    const { headDim, heads, kvHeads } = architecture;
    const spec = architecture.layers[startLayer + index]!;
    const rope = architecture.ropes[spec.rope]!;
    const factors = weights.ropeFactors[spec.rope]!;
    const normed = this.#ops.norm(x, layer.attentionNorm!);
    const split = (projected: Pointer, count: number) =>
      ggml.ggml_reshape_3d(context, projected, headDim, count, this.#tokens);
    const k = this.#ops.rotate(
      split(this.#ops.project(normed, layer.k!, layer.kBias), kvHeads),
      layer.kNorm,
      rope,
      factors,
      this.inputs.positions,
    );
    const v = this.#ops.project(normed, layer.v!, layer.vBias);
    this.#store(ggml.ggml_reshape_2d(context, k, headDim * kvHeads, this.#tokens), v, index);
    if (isFinal && this.inputs.outputRows === undefined) return undefined;
    const q = this.#ops.rotate(
      split(this.#ops.project(normed, layer.q!, layer.qBias), heads),
      layer.qNorm,
      rope,
      factors,
      this.inputs.positions,
    );
    return this.#attendAll(q, index, spec.window ?? 0);
  }

  /** Writes the new keys and values of each request into its cache; the graph runs in the order in which it is built. */
  #store(k: Pointer, v: Pointer, index: number): void {
    const { ggml, context } = this.#ops;
    const width = this.#source.architecture.headDim * this.#source.architecture.kvHeads;
    let from = 0;
    for (const [at, { cache, sequence }] of this.#parts.entries()) {
      const layer = cache.layers[index]!;
      const { rows } = this.inputs.parts[at]!;
      const slice = (all: Pointer) =>
        ggml.ggml_view_2d(context, all, width, sequence, width * 4, from * width * 4);
      for (const [target, all] of [
        [layer.keys, k],
        [layer.values, v],
      ] as const) {
        const written = ggml.ggml_set_rows(context, target, slice(all), rows);
        ggml.ggml_build_forward_expand(this.#graph, written);
      }
      from += sequence;
    }
  }

  #attendAll(q: Pointer, index: number, window: number): Pointer {
    const { ggml, context } = this.#ops;
    const { headDim, heads, kvHeads } = this.#source.architecture;
    let all: Pointer | undefined;
    let from = 0;
    for (const [at, { cache, sequence }] of this.#parts.entries()) {
      const { positions } = this.inputs.parts[at]!;
      const layer = cache.layers[index]!;
      const elementBytes = ggml.ggml_row_size(cache.shape.type, 1);
      const cached = (tensor: Pointer) => {
        const headBytes = headDim * elementBytes;
        return ggml.ggml_view_3d(
          context,
          tensor,
          headDim,
          positions,
          kvHeads,
          headBytes * kvHeads,
          headBytes,
          0,
        );
      };
      const [headStride, tokenStride] = [headDim * 4, headDim * heads * 4];
      // [headDim, heads, sequence] becomes [headDim, sequence, heads].
      const mine = ggml.ggml_permute(
        context,
        ggml.ggml_view_3d(context, q, headDim, heads, sequence, headStride, tokenStride, from * tokenStride),
        ...([0, 2, 1, 3] as const),
      );
      const out = this.#ops.attend(
        mine,
        cached(layer.keys),
        cached(layer.values),
        this.#mask(at, window),
        sequence,
      );
      all = all === undefined ? out : ggml.ggml_concat(context, all, out, 1);
      from += sequence;
    }
    return all!;
  }

  #attentionOut(attention: Pointer, layer: LayerTensors, rows: Pointer | undefined): Pointer {
    const x = rows === undefined ? attention : this.#rows(attention, rows);
    const out = this.#ops.project(x, layer.o!, layer.oBias);
    return layer.attentionPostNorm === undefined ? out : this.#ops.norm(out, layer.attentionPostNorm);
  }

  #feedForward(x: Pointer, layer: LayerTensors): Pointer {
    const normed = this.#ops.norm(x, layer.ffnNorm!);
    const gate = this.#ops.project(normed, layer.gate!);
    const up = this.#ops.project(normed, layer.up!);
    const down = this.#ops.project(this.#ops.gated(gate, up), layer.down!);
    return this.#ops.add(x, layer.ffnPostNorm === undefined ? down : this.#ops.norm(down, layer.ffnPostNorm));
  }
}
