/**
 * An inference engine computes a contiguous range of layers. Every engine passes the same compliance suite
 * (test/compliance/engine-suite.ts). `dummy` is the first; the interface is the one a real engine needs: a KV cache
 * per request, positions, cancel, and hidden states that travel in the type the model computes in.
 */
import type { Shard, Tensor } from '../protocol/index.js';
import type { Startable } from '../shared/index.js';

/**
 * Token ids entering the first shard, or hidden states from the shard before (shape [1, sequence, hidden];
 * the dummy's is [1, sequence] or [sequence]).
 */
export type EngineInput =
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] }
  | { readonly kind: 'hidden'; readonly hidden: Tensor };

/** One step of one request on one shard. */
export interface ForwardRequest {
  readonly requestId: string;
  readonly shard: Shard;
  readonly input: EngineInput;
  /**
   * Place of the first element of `input` in the whole sequence, from 0: how much of the request this shard has
   * already seen. An engine with a KV cache refuses a step that does not continue its cache (`engine-failed`),
   * because the answer would be wrong without anyone noticing.
   */
  readonly position: number;
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

/** Computes shards. `stop` ends all its children and frees all caches; afterwards every call throws `engine-failed`. */
export interface InferenceEngine extends Startable {
  /** `dummy`, … : the value of `--inference-engine`. */
  readonly name: string;
  /** Makes a shard ready (maps weights). Idempotent; throws `model-unknown` or `engine-failed`. */
  load(shard: Shard, signal: AbortSignal): Promise<void>;
  /** The model's tokenizer, loaded once. Throws `model-unknown` or `engine-failed`. */
  tokenizer(modelId: string, signal: AbortSignal): Promise<Tokenizer>;
  /**
   * One step; steps of one request come one after the other, steps of different requests at once. The KV cache of the
   * request grows by the sequence. `input` is the engine's until the promise settles. Tokens go only into a shard that
   * begins with layer 0, hidden states only into the others.
   * Throws `tensor-invalid`, `engine-failed` or, when `signal` is aborted, `request-cancelled`.
   */
  forward(request: ForwardRequest): Promise<ForwardResult>;
  /** Chooses the next token from what the last shard gave. Throws `engine-failed` when there is none to choose (NaN). */
  sample(logits: Tensor, options: SamplingOptions): number;
  /** Frees the KV cache of a request, whose steps have been aborted before. Unknown ids are fine. */
  release(requestId: string): void;
}

/** Text to token ids and back, for one model. */
export interface Tokenizer {
  /** Ids after which a generation is finished. */
  readonly eosTokenIds: ReadonlySet<number>;
  encode(text: string): readonly number[];
  /** Bytes that are not yet a whole character come out as U+FFFD. */
  decode(tokens: readonly number[]): string;
  /** The text that a conversation becomes before it is encoded. */
  applyChatTemplate(messages: readonly ChatMessage[]): string;
}

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
}
