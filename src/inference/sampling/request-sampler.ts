/**
 * The sampling of one request on the holder of its last layer: options, seed, how many tokens the answer has, and what the
 * penalties look at. Begun from the state that came with the request, so that an answer that another ring began goes on
 * as if it had stayed there. Held by `ring-request.ts`, used by `ring-worker.ts`.
 */
import type { JsonObject, Tensor } from '../../protocol/index.js';
import type { Random } from '../../shared/index.js';
import type { InferenceEngine, SampledToken, SamplingOptions } from '../engine.js';
import { hasPenalties, isGreedy } from './sampler.js';
import { progressOf, samplingOf } from './sampling-state.js';
import { TokenHistory } from './token-history.js';

/** Bytes of a seed that nobody named: a safe integer. */
const SEED_BYTES = 6;

/** A token and its place in the answer. */
export interface PlacedToken extends SampledToken {
  /** From 0. */
  readonly index: number;
}

/** One request. */
export class RequestSampler {
  readonly #options: SamplingOptions;
  readonly #seed: number;
  readonly #history: TokenHistory | undefined;
  /** Whether the token of the highest logit is all that is wanted of a step. */
  readonly isGreedy: boolean;
  #count: number;

  /** @param state `inference_state` of the request */
  constructor(state: JsonObject | null, defaultTemperature: number, random: Random) {
    const { answered, history } = progressOf(state);
    this.#options = samplingOf(state, defaultTemperature);
    this.#seed = this.#options.seed ?? random.bytes(SEED_BYTES).readUIntBE(0, SEED_BYTES);
    this.isGreedy = isGreedy(this.#options);
    this.#count = answered;
    this.#history = hasPenalties(this.#options) ? new TokenHistory(history, answered) : undefined;
  }

  /** Tokens of the answer so far. */
  get count(): number {
    return this.#count;
  }

  /** The next token of the answer, which the engine chose because the request is greedy. */
  took(token: number): PlacedToken {
    const index = this.#count;
    this.#count += 1;
    return { token, index };
  }

  /** The next token of the answer. Throws `engine-failed`. */
  next(engine: InferenceEngine, logits: Tensor): PlacedToken {
    const index = this.#count;
    const history = this.#history;
    const place = { seed: this.#seed, index, ...(history === undefined ? {} : { history }) };
    const sampled = engine.sample(logits, this.#options, place);
    this.#count += 1;
    history?.push(sampled.token);
    return { ...sampled, index };
  }
}
