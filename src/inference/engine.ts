/**
 * An inference engine computes a contiguous range of layers. Every engine passes the same compliance suite
 * (test/compliance/engine-suite.ts). The interface is the one that real models need (`ggml`), also where `dummy` needs less: a KV
 * cache per request, positions, cancel, and hidden states that travel in the type the model computes in.
 */
import type { Shard, Tensor } from '../protocol/index.js';
import type { Startable } from '../shared/index.js';
import type { EngineModels } from './engine-models.js';

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
   * already seen. An engine with a KV cache refuses a step that does not continue its cache (`engine-failed`,
   * retryable: the entry node then has the sequence computed anew), because the answer would be wrong without anyone noticing.
   */
  readonly position: number;
  readonly signal: AbortSignal;
  /** Of the last shard only the token of the highest logit is wanted: an engine may give that instead of the logits. */
  readonly isGreedy?: boolean;
}

/**
 * What leaves a shard: hidden states for the next one, or (from the last) logits of the last position, shape [vocab] or what the engine
 * samples from; of a step that is greedy perhaps the token that `sample` would choose of them.
 */
export type ForwardResult =
  | { readonly kind: 'hidden'; readonly hidden: Tensor }
  | { readonly kind: 'logits'; readonly logits: Tensor }
  | { readonly kind: 'token'; readonly token: number };

/** How to choose a token. What is absent changes nothing. */
export interface SamplingOptions {
  /** 0 is greedy: the token of the highest logit, of equal ones the lowest id. At most 2. */
  readonly temperature: number;
  /** Only so many of the likeliest tokens; 0 and absent: all. */
  readonly topK?: number;
  /** Only the likeliest tokens that together have this probability, in (0, 1]. */
  readonly topP?: number;
  /** Only tokens that are at least this part, in [0, 1], as likely as the likeliest. */
  readonly minP?: number;
  /** In (0, 2]; logits of tokens in prompt or answer are divided by it (multiplied where negative). */
  readonly repetitionPenalty?: number;
  /** -2 to 2; taken off a logit for each time that the token is in the answer. */
  readonly frequencyPenalty?: number;
  /** -2 to 2; taken off a logit once when the token is in the answer. */
  readonly presencePenalty?: number;
  /** Added to the logits of these token ids, -100 to 100. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** A safe integer. Absent: the node that samples draws one. */
  readonly seed?: number;
  /** The log probability of the chosen token is wanted, and those of so many of the likeliest (0 to 20). */
  readonly logprobs?: number;
}

/** Tokens and how often they are there, within the last `LIMITS.penaltyTokensMax` of the sequence. */
export interface TokenCounts {
  /** Of prompt and answer. */
  readonly all: ReadonlyMap<number, number>;
  /** Of the answer only. */
  readonly answer: ReadonlyMap<number, number>;
}

/** Which token of which answer is chosen. The same place and logits give the same token on every node. */
export interface SamplingPlace {
  /** A safe integer. */
  readonly seed: number;
  /** Of the token in the answer, from 0. */
  readonly index: number;
  /** What the penalties look at; absent: nothing came before. */
  readonly history?: TokenCounts;
}

/** Natural logarithms of what the model gives, before temperature, penalties, bias and cuts. */
export interface TokenLogprobs {
  readonly logprob: number;
  /** The likeliest tokens, likeliest first; as many as were asked for. */
  readonly top: readonly TokenLogprob[];
}

/** One candidate. */
export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
}

/** A token that was chosen. */
export interface SampledToken {
  readonly token: number;
  /** Where they were asked for, and the engine has them. */
  readonly logprobs?: TokenLogprobs;
}

/** What one layer of a model costs the engine that computes it, in the types in which it keeps weights and caches. */
export interface LayerCost {
  /** Read once in a step of one token. The last layer has the head with it. */
  readonly weightBytes: number;
  /** Of one token, those of attention over the cache aside. */
  readonly multiplyAdds: number;
  /** Of one position of one request. */
  readonly cacheBytes: number;
}

/** What an engine can do for one model here and now: what layers are placed by. */
export interface EngineProfile {
  /** What weights and caches of the model may take before the machine swaps; what the engine has of it already counts as free. */
  readonly memoryBytes: number;
  /** Weights that are read in a second while one request decodes; of the steps that ran, else of a short test. */
  readonly bytesPerS: number;
  /** Of a prompt; measured in the same way. */
  readonly multiplyAddsPerS: number;
  /** By layer of the model, all of them. */
  readonly layers: readonly LayerCost[];
}

/** Computes shards. `stop` ends all its children and frees all caches; afterwards every call throws `engine-failed`. */
export interface InferenceEngine extends Startable {
  /** The value of `--inference-engine`. */
  readonly name: string;
  /** For people: whether it computes, or what keeps it from that. Absent: it always does. */
  readonly state?: string;
  /** What it can compute here. */
  readonly models: EngineModels;
  /** Makes a shard ready (maps weights). Idempotent; throws `model-unknown` or `engine-failed`. */
  load(shard: Shard, signal: AbortSignal): Promise<void>;
  /**
   * What this engine can do for a model of which at least the small files are here. The first call for a kind of weights
   * computes for some tenths of a second. Throws `model-unknown`, `model-unsupported`, `checkpoint-invalid` or `engine-failed`.
   */
  profile(modelId: string, signal: AbortSignal): Promise<EngineProfile>;
  /** The model's tokenizer, loaded once. Throws `model-unknown` or `engine-failed`. */
  tokenizer(modelId: string, signal: AbortSignal): Promise<Tokenizer>;
  /**
   * One step, on a shard that is loaded first where it is not any more; steps of one request come one after the other, steps of
   * different requests at once. The KV cache of the request grows by the sequence. `input` is the engine's until the promise settles; what it gives is the caller's for ever
   * (it is sent on while the next part of a prompt is computed). Tokens go only into a shard that
   * begins with layer 0, hidden states only into the others.
   * Throws `tensor-invalid`, `engine-failed` (also as `sample` does, where it chooses) or, when `signal` is aborted,
   * `request-cancelled`.
   */
  forward(request: ForwardRequest): Promise<ForwardResult>;
  /**
   * Chooses the next token from what the last shard gave; an engine with logits calls `sampleLogits` of `sampler.ts`. They are used
   * up by it: the engine may put the next ones into their memory.
   * Throws `engine-failed` when there is none to choose (NaN).
   */
  sample(logits: Tensor, options: SamplingOptions, place: SamplingPlace): SampledToken;
  /** Frees the KV cache of a request, whose steps have been aborted before. Unknown ids are fine. */
  release(requestId: string): void;
}

/** Text to token ids and back, for one model. */
export interface Tokenizer {
  /** Ids after which a generation is finished. */
  readonly eosTokenIds: ReadonlySet<number>;
  /**
   * Throws `overloaded`, `request-cancelled` or `tokenizer-invalid`; `prompt-too-long`, where it sees soon that a text has by far more
   * than `tokensMax` tokens, or where a long one is not encoded in time.
   */
  encode(text: string, signal?: AbortSignal, tokensMax?: number): Promise<readonly number[]>;
  /** Bytes that are not yet a whole character come out as U+FFFD. Called for every token: it computes next to nothing. */
  decode(tokens: readonly number[]): string;
  /** The text that a conversation becomes before it is encoded. Throws `conversation-refused` or `prompt-too-long` too. */
  applyChatTemplate(messages: readonly ChatMessage[], signal?: AbortSignal): Promise<string>;
  /** Frees what it holds; only `decode` works afterwards. Absent: it holds nothing. */
  close?(): Promise<void>;
}

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
}
