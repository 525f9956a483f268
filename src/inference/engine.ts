/**
 * An inference engine computes a contiguous range of layers. Every engine passes the same compliance suite.
 * `dummy` is the first; the interface is the one a real engine needs: a KV cache per request, positions,
 * chunked prefill, cancel, and hidden states that travel in the type the model computes in.
 */
import type { Shard, Tensor } from '../protocol/index.js';
import type { Startable } from '../shared/index.js';

/** Token ids entering the first shard (shape [sequence]) or hidden states leaving the shard before (shape [1, sequence, hidden]). */
export type EngineInput =
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] }
  | { readonly kind: 'hidden'; readonly hidden: Tensor };

/** One step of one request on one shard. */
export interface ForwardRequest {
  readonly requestId: string;
  readonly shard: Shard;
  readonly input: EngineInput;
  readonly signal: AbortSignal;
}

/** What leaves a shard: hidden states for the next one, or (from the last) logits of the last position, shape [vocab] or what the engine samples from. */
export type ForwardResult =
  | { readonly kind: 'hidden'; readonly hidden: Tensor }
  | { readonly kind: 'logits'; readonly logits: Tensor };

/** How to choose a token. */
export interface SamplingOptions {
  /** 0 is greedy. */
  readonly temperature: number;
}

/** Computes shards. `stop` ends all its children and frees all caches. */
export interface InferenceEngine extends Startable {
  /** `dummy`, … : the value of `--inference-engine`. */
  readonly name: string;
  /** Makes a shard ready (maps weights). Idempotent; throws `model-unknown` or `engine-failed`. */
  load(shard: Shard, signal: AbortSignal): Promise<void>;
  /** One step. The KV cache of the request grows by the sequence. Throws `engine-failed`. */
  forward(request: ForwardRequest): Promise<ForwardResult>;
  /** Chooses the next token from what the last shard gave. */
  sample(logits: Tensor, options: SamplingOptions): number;
  /** Frees the KV cache of a request. Unknown ids are fine. */
  release(requestId: string): void;
}

/** Text to token ids and back, for one model. */
export interface Tokenizer {
  /** Ids after which a generation is finished. */
  readonly eosTokenIds: ReadonlySet<number>;
  encode(text: string): readonly number[];
  decode(tokens: readonly number[]): string;
  /** The text that a conversation becomes before it is encoded. */
  applyChatTemplate(messages: readonly ChatMessage[]): string;
}

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
}
