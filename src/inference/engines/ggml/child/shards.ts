/**
 * The shards that are loaded, few at a time: a ring that was partitioned anew asks for other layers and never for the
 * old ones again. A shard that a request uses is never unloaded. Called by `program.ts`.
 */
import { ExoError } from '../../../../shared/index.js';
import type { CachePool } from '../cache/cache-pool.js';
import type { Device } from '../library/index.js';
import { modelOf } from '../process/messages.js';
import { Shard, type ShardOptions } from '../shard.js';
import type { MadeFiles } from '../weights/made-files.js';
import type { ShardSource } from '../weights/shard-weights.js';
import { weightBytes } from '../weights/weight-bytes.js';

/** Besides the weights: intermediate results, the first caches, and what the node itself needs meanwhile. */
const HEADROOM_BYTES = 256 * 1024 * 1024;

/** What the shards ask. */
export interface ShardsComponents {
  readonly device: Device;
  readonly pool: CachePool;
  readonly freeBytes: () => number;
  /** Where made weights are kept, if they are. */
  readonly made?: MadeFiles | undefined;
  /** Resolves when no step runs on a shard or waits for it. */
  readonly drained: (shard: Shard) => Promise<void>;
}

/** Loaded shards by their key, the least recently used first. */
export class Shards {
  readonly #options: ShardOptions & { readonly shardsMax: number };
  readonly #components: ShardsComponents;
  readonly #loaded = new Map<string, Shard>();

  constructor(options: ShardOptions & { readonly shardsMax: number }, components: ShardsComponents) {
    this.#options = options;
    this.#components = components;
  }

  /** A loaded shard; undefined where it has been unloaded since. */
  get(key: string): Shard | undefined {
    const shard = this.#loaded.get(key);
    if (shard === undefined) return undefined;
    this.#loaded.delete(key);
    this.#loaded.set(key, shard);
    return shard;
  }

  /** Bytes that weights and caches of a model may take here: what is free, what the model has, and what nobody uses. */
  memoryBytes(modelId: string): number {
    const { pool, freeBytes } = this.#components;
    let bytes = freeBytes() - HEADROOM_BYTES;
    for (const [key, shard] of this.#loaded) {
      if (modelOf(key) === modelId || !pool.isUsed(key)) bytes += shard.ownBytes;
    }
    return Math.max(0, bytes);
  }

  /** Loads a shard, if it is not. Throws `checkpoint-invalid`, `out-of-memory` or `overloaded`. */
  async load(key: string, source: ShardSource): Promise<void> {
    if (this.#loaded.has(key)) return;
    const needed =
      weightBytes(this.#components.device.ggml, source, this.#options.quantisation) + HEADROOM_BYTES;
    while (this.#loaded.size >= this.#options.shardsMax || needed > this.#components.freeBytes()) {
      if (!(await this.#unloadOne())) break;
    }
    if (this.#loaded.size >= this.#options.shardsMax) {
      throw new ExoError(
        'overloaded',
        `${this.#loaded.size} shards are in use; more are not loaded at once`,
        {
          retryable: true,
        },
      );
    }
    const free = this.#components.freeBytes();
    if (needed > free) {
      throw new ExoError(
        'out-of-memory',
        `the layers ${source.startLayer} to ${source.endLayer} need ${gib(needed)} GiB of memory, and ${gib(free)} GiB are free; end other programs, split the model over more nodes, or take a smaller one`,
        { retryable: true },
      );
    }
    if (!this.#loaded.has(key))
      this.#loaded.set(key, new Shard(this.#components.device, source, this.#options, this.#components.made));
  }

  async #unloadOne(): Promise<boolean> {
    const key = [...this.#loaded.keys()].find((candidate) => !this.#components.pool.isUsed(candidate));
    if (key === undefined) return false;
    const shard = this.#loaded.get(key)!;
    this.#loaded.delete(key);
    await this.#components.drained(shard);
    shard.close();
    return true;
  }
}

function gib(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1);
}
