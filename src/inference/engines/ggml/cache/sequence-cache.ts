/**
 * Keys and values of one request on one shard: per layer two tensors with a row for each position, in one buffer that
 * grows by doubling. Rows that are not used yet are zero, because masked rows are read too. Owned by `cache-pool.ts`.
 */
import { ExoError } from '../../../../shared/index.js';
import type { Device, ElementType, Pointer } from '../library/index.js';

/** Sizes of the caches of one shard. */
export interface CacheShape {
  readonly layers: number;
  /** Elements of a key, and of a value: all heads together. */
  readonly rowElements: number;
  readonly type: ElementType;
  readonly elementBytes: number;
}

/** Capacities are multiples of this; a graph is built anew when a sequence crosses one. */
export const CACHE_STEP = 256;

/** Positions that a cache for so many must have. */
export function capacityFor(positions: number): number {
  return Math.ceil(positions / CACHE_STEP) * CACHE_STEP;
}

/** Tensors of one layer, [positions, rowElements]. */
export interface LayerCache {
  readonly keys: Pointer;
  readonly values: Pointer;
}

/** Native memory of a cache, of one size. */
interface Storage {
  readonly context: Pointer;
  readonly buffer: Pointer;
  readonly layers: readonly LayerCache[];
}

let serial = 0;

/** One request's cache. */
export class SequenceCache {
  readonly shape: CacheShape;
  /** Positions that are filled. */
  length = 0;
  /** Changes when the tensors are others: a graph that was built over them is of no use then. */
  generation = 0;
  readonly #device: Device;
  #capacity = 0;
  #storage: Storage | undefined;

  constructor(device: Device, shape: CacheShape) {
    this.#device = device;
    this.shape = shape;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get layers(): readonly LayerCache[] {
    return this.#storage?.layers ?? [];
  }

  /** Makes room for so many positions and keeps what is there. Throws `out-of-memory`. */
  grow(capacity: number): void {
    const before = this.#storage;
    const after = this.#allocate(capacity);
    if (before !== undefined) {
      const { ggml } = this.#device;
      const heads = this.#heads(after.layers);
      for (const [index, layer] of before.layers.entries()) {
        ggml.ggml_backend_tensor_copy(layer.keys, heads.layers[index]!.keys);
        ggml.ggml_backend_tensor_copy(layer.values, heads.layers[index]!.values);
      }
      ggml.ggml_free(heads.context);
      this.#free(before);
    }
    this.#storage = after;
    this.#capacity = capacity;
    serial += 1;
    this.generation = serial;
  }

  /** No graph may run over it. */
  close(): void {
    if (this.#storage !== undefined) this.#free(this.#storage);
    this.#storage = undefined;
    this.#capacity = 0;
  }

  #allocate(capacity: number): Storage {
    const { ggml, bufferType } = this.#device;
    const { layers: count, rowElements, type } = this.shape;
    const context = ggml.newContext((2 * count + 1) * ggml.ggml_tensor_overhead());
    const layers = Array.from({ length: count }, () => ({
      keys: ggml.ggml_new_tensor_2d(context, type, rowElements, capacity),
      values: ggml.ggml_new_tensor_2d(context, type, rowElements, capacity),
    }));
    const buffer = ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, bufferType);
    if (buffer === null) {
      ggml.ggml_free(context);
      throw new ExoError('out-of-memory', `no memory for ${capacity} positions of a request`, {
        retryable: true,
      });
    }
    ggml.ggml_backend_buffer_clear(buffer, 0);
    return { context, buffer, layers };
  }

  /** The first rows of larger tensors, as many as there are now. */
  #heads(layers: readonly LayerCache[]): {
    readonly context: Pointer;
    readonly layers: readonly LayerCache[];
  } {
    const { ggml } = this.#device;
    const context = ggml.newContext((2 * layers.length + 1) * ggml.ggml_tensor_overhead());
    const { rowElements, type } = this.shape;
    const rowBytes = ggml.ggml_row_size(type, rowElements);
    const head = (tensor: Pointer) => {
      const view = ggml.ggml_view_2d(context, tensor, rowElements, this.#capacity, rowBytes, 0);
      ggml.ggml_backend_view_init(view);
      return view;
    };
    return {
      context,
      layers: layers.map(({ keys, values }) => ({ keys: head(keys), values: head(values) })),
    };
  }

  #free({ context, buffer }: Storage): void {
    this.#device.ggml.ggml_backend_buffer_free(buffer);
    this.#device.ggml.ggml_free(context);
  }
}
