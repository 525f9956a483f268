/** What node and engine process tell each other, as the heads of frames. Tokens and activations are the payload. */
import type { ErrorCode } from '../../../../shared/index.js';
import type { ShardOptions } from '../shard.js';
import type { ShardSource } from '../weights/shard-weights.js';

/** How the process computes. */
export interface ProcessOptions extends ShardOptions {
  /** `auto`, or the name of a device. */
  readonly device: string;
  /** Absent: the cores that are free. */
  readonly threads?: number;
  readonly quiet: boolean;
  readonly cacheBytesMax: number;
  readonly abandonedAfterMs: number;
  readonly shardsMax: number;
}

/** Node to process. All but `release` and `cancel` are answered, under the same number. */
export type ProcessRequest =
  | { readonly op: 'start'; readonly id: number; readonly options: ProcessOptions }
  | { readonly op: 'load'; readonly id: number; readonly shardKey: string; readonly source: ShardSource }
  | {
      readonly op: 'forward';
      readonly id: number;
      readonly shardKey: string;
      readonly requestId: string;
      readonly position: number;
      /** int32 tokens or float32 [sequence, hidden]. */
      readonly input: 'tokens' | 'hidden';
    }
  | { readonly op: 'cancel'; readonly requestId: string }
  | { readonly op: 'release'; readonly requestId: string };

/** What the process computes on. */
export interface ProcessReport {
  readonly device: string;
  readonly description: string;
  readonly threads: number;
}

/** Process to node; a `forward` has its float32 result as the payload. */
export type ProcessReply =
  | { readonly id: number; readonly report?: ProcessReport }
  /** The shard of a `forward` made room for others; it must be loaded again. */
  | { readonly id: number; readonly isUnloaded: true }
  | {
      readonly id: number;
      readonly error: { readonly code: ErrorCode; readonly message: string; readonly retryable: boolean };
    };
