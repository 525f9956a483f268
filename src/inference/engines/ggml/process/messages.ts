/** What node and engine process tell each other, as the heads of frames. Tokens and activations are the payload. */
import type { ErrorCode } from '../../../../shared/index.js';
import type { ElementType } from '../library/functions.js';
import type { ShardOptions } from '../shard.js';
import type { MadeFilesOptions, UnkeptWeights } from '../weights/made-files.js';
import type { ShardSource } from '../weights/shard-weights.js';
import type { ResultPlace } from './result-file.js';

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
  /** Where made weights are kept; absent: nowhere. */
  readonly madeFiles?: MadeFilesOptions;
}

/** Node to process. All but `release` and `cancel` are answered, under the same number. */
export type ProcessRequest =
  | {
      readonly op: 'start';
      readonly id: number;
      readonly options: ProcessOptions;
      /** The file of results is there, as descriptor 4. */
      readonly hasResults: boolean;
    }
  | { readonly op: 'load'; readonly id: number; readonly shardKey: string; readonly source: ShardSource }
  | {
      readonly op: 'forward';
      readonly id: number;
      readonly shardKey: string;
      readonly requestId: string;
      readonly position: number;
      /** int32 tokens or float32 [sequence, hidden]. */
      readonly input: 'tokens' | 'hidden';
      /** Of the last shard only the token of the highest logit. */
      readonly isGreedy: boolean;
    }
  /** `type` is that of the model's weights, which the answer may have to be measured with. */
  | { readonly op: 'profile'; readonly id: number; readonly modelId: string; readonly type: ElementType }
  | { readonly op: 'cancel'; readonly requestId: string }
  | { readonly op: 'release'; readonly requestId: string };

/** What the process computes on. */
export interface ProcessReport {
  readonly device: string;
  readonly description: string;
  readonly threads: number;
}

/** What the process can do for a model. */
export interface ProcessProfile {
  readonly memoryBytes: number;
  readonly bytesPerS: number;
  readonly multiplyAddsPerS: number;
}

/** Process to node; a `forward` has its float32 result as the payload. */
export type ProcessReply =
  | {
      readonly id: number;
      readonly report?: ProcessReport;
      readonly profile?: ProcessProfile;
      /** Of a `load`. */
      readonly unkept?: UnkeptWeights;
    }
  /** Of a `forward` of the last shard that is greedy. */
  | { readonly id: number; readonly token: number }
  /** The result of a `forward`, in the memory that both share. */
  | { readonly id: number; readonly place: ResultPlace }
  /** The shard of a `forward` made room for others; it must be loaded again. */
  | { readonly id: number; readonly isUnloaded: true }
  | {
      readonly id: number;
      readonly error: { readonly code: ErrorCode; readonly message: string; readonly retryable: boolean };
    };

/** Names a shard in a process. */
export function shardKeyOf(modelId: string, startLayer: number, endLayer: number): string {
  return `${modelId} ${startLayer}-${endLayer}`;
}

/** The model of a shard. */
export function modelOf(shardKey: string): string {
  return shardKey.slice(0, shardKey.lastIndexOf(' '));
}
