/** How the ggml engine computes, and what is taken where nothing is said. */
import os from 'node:os';
import { LIMITS } from '../../../shared/index.js';
import type { ProcessOptions } from './process/messages.js';
import type { Quantisation } from './weights/quantisation.js';

/** Options of the engine. */
export interface GgmlOptions {
  /** `auto` takes a GPU where there is one; else the name of a device (`cpu`, `metal`, …). @default 'auto' */
  readonly device?: string;
  /** Threads of the CPU. @default the physical cores that are idle when the process starts */
  readonly threads?: number;
  /**
   * Idle threads sleep between two steps. They are awake 50 µs later then, and do not take the cores from the node, from the choice
   * of tokens, and from other engines of the machine. @default true
   */
  readonly quiet?: boolean;
  /** Matrices in fewer bits than in the file, made when a shard is loaded. @default 'none' */
  readonly quantisation?: Quantisation;
  /** Folder in which quantised weights are kept for the next start. @default they are not kept */
  readonly weightsDirectory?: string;
  /** Of what is kept there. @default 32 GiB */
  readonly weightsBytesMax?: number;
  /** Type of the KV cache; `auto` is float32 for float32 checkpoints, else float16. @default 'auto' */
  readonly cacheType?: 'auto' | 'f16' | 'f32';
  /** Of the KV caches of all requests. @default a quarter of the machine's memory */
  readonly cacheBytesMax?: number;
  /** A request's cache that was not used for so long makes room for others. @default 600000 */
  readonly abandonedAfterMs?: number;
  /**
   * Positions that a request may have, prompt and answer together. Models whose rotations depend on it (longrope) are
   * computed for so many. @default the length that the model was made for
   */
  readonly contextLength?: number;
  /** Shards that stay loaded at once. @default 8 */
  readonly shardsMax?: number;
}

/** With everything filled in. */
export function processOptions(options: GgmlOptions): ProcessOptions {
  return {
    device: options.device ?? 'auto',
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    quiet: options.quiet ?? true,
    quantisation: options.quantisation ?? 'none',
    cacheType: options.cacheType ?? 'auto',
    cacheBytesMax: options.cacheBytesMax ?? Math.floor(os.totalmem() / 4),
    // As long as a person may leave a stream unread; a request that is over is released by its ring.
    abandonedAfterMs: options.abandonedAfterMs ?? 600_000,
    shardsMax: options.shardsMax ?? 8,
    ...madeFilesOf(options),
  };
}

function madeFilesOf({ weightsDirectory: directory, weightsBytesMax: bytesMax }: GgmlOptions) {
  return directory === undefined
    ? {}
    : { madeFiles: { directory, bytesMax: bytesMax ?? LIMITS.madeWeightsBytesMax } };
}
