/**
 * One answer on the node that serves the client: results of the ring in, text out, and exactly one end, whether
 * finished, cut at `maxTokens`, failed, late, too slowly read, or given up by the client.
 */
import type { Result, ResultLogprobs } from '../../protocol/index.js';
import { type Clock, ExoError, LIMITS, type TimerHandle } from '../../shared/index.js';
import type { Tokenizer } from '../engine.js';
import type { RingPlan } from '../planner/index.js';
import { type RingClient, ringError } from '../ring/index.js';
import { IncrementalDecoder } from './incremental-decoder.js';
import { TokenQueue } from './token-queue.js';
import { textOfToken } from './token-text.js';

/** One token of an answer. */
export interface GeneratedToken {
  /** The text that this token adds; empty within a character. */
  readonly text: string;
  readonly token: number;
  /** Counts from 0. */
  readonly index: number;
  /** Where they were asked for, for tokens that are not the end. */
  readonly logprobs?: GeneratedLogprobs;
}

/** A candidate for a place in the answer. */
export interface Candidate {
  readonly token: number;
  /** With U+FFFD in it: a part of a character. */
  readonly text: string;
  /** Natural logarithm. */
  readonly logprob: number;
}

/** The chosen candidate, and the likeliest ones, likeliest first. */
export interface GeneratedLogprobs extends Candidate {
  readonly top: readonly Candidate[];
}

/** `length`: cut at the maximum number of tokens. */
export type FinishReason = 'stop' | 'length';

/** How an answer ended. */
export interface GenerationResult {
  readonly finishReason: FinishReason;
  /** The end-of-answer token counts, as in the original. */
  readonly completionTokens: number;
}

/** What the reader of an answer holds. */
export interface Generation {
  readonly requestId: string;
  /** Id of the model that answers. */
  readonly model: string;
  readonly promptTokens: number;
  /** Where it is computed: of the latest attempt. Absent: not decided yet. */
  readonly plan?: RingPlan | undefined;
  /** In order; ends when the answer is finished, throws what ended it early. Read once; leaving the loop cancels. */
  readonly tokens: AsyncIterable<GeneratedToken>;
  /** Settles when the last token has come; rejects as `tokens` throws. */
  readonly result: Promise<GenerationResult>;
  /** Gives the answer up: it ends with `request-cancelled`. After the end nothing happens. */
  cancel(): void;
}

interface Settle {
  resolve(result: GenerationResult): void;
  reject(error: ExoError): void;
}

/** Settings of one answer. */
export interface GenerationOptions {
  readonly requestId: string;
  readonly model: string;
  readonly promptTokens: number;
  /** Absent: only the ring's own bound. */
  readonly maxTokens?: number | undefined;
  /** For the whole answer. */
  readonly timeoutMs: number;
}

/** A `Generation`, and the client that the ring delivers to. `onEnd` is called once. */
export class RunningGeneration implements Generation, RingClient {
  readonly requestId: string;
  readonly model: string;
  readonly promptTokens: number;
  readonly result: Promise<GenerationResult>;
  plan: RingPlan | undefined;
  readonly #options: GenerationOptions;
  readonly #tokenizer: Tokenizer;
  readonly #onEnd: () => void;
  readonly #decoder: IncrementalDecoder;
  readonly #queue: TokenQueue<GeneratedToken>;
  readonly #deadline: TimerHandle;
  #settle: Settle | undefined;
  #count = 0;
  #error: ExoError | undefined;

  constructor(
    options: GenerationOptions,
    components: { readonly tokenizer: Tokenizer; readonly clock: Clock },
    onEnd: () => void,
  ) {
    this.requestId = options.requestId;
    this.model = options.model;
    this.promptTokens = options.promptTokens;
    this.#options = options;
    this.#tokenizer = components.tokenizer;
    this.#onEnd = onEnd;
    this.#decoder = new IncrementalDecoder(components.tokenizer);
    this.#queue = new TokenQueue(LIMITS.tokensQueuedMax, () => this.cancel());
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Who reads only the tokens gets the error from them.
    this.result.catch(() => undefined);
    this.#deadline = components.clock.after(options.timeoutMs, () =>
      this.fail(
        ringError(
          'generation-timeout',
          `the answer was not finished within ${options.timeoutMs / 1000} s; ask for less, or raise --chatgpt-api-response-timeout`,
        ),
      ),
    );
  }

  get tokens(): AsyncIterable<GeneratedToken> {
    return this.#queue;
  }

  /** What ended it early, if something has. */
  get error(): ExoError | undefined {
    return this.#error;
  }

  cancel(): void {
    this.fail(new ExoError('request-cancelled', 'the client gave the request up'));
  }

  fail(error: ExoError): void {
    this.#end((settle) => {
      this.#error = error;
      this.#queue.close(error);
      settle.reject(error);
    });
  }

  /** Results come in order; one with an error does not come. */
  deliver(result: Result): void {
    let last: number | undefined;
    for (const [place, token] of result.result.entries()) {
      if (this.#settle === undefined) return;
      last = token;
      const isCut = this.#count + 1 === this.#options.maxTokens;
      const isLast = isCut || (result.isFinished && place === result.result.length - 1);
      const text = this.#decoder.push(token) + (isLast ? this.#decoder.flush() : '');
      const logprobs = this.#logprobsOf(token, result.logprobs?.[place]);
      if (!this.#queue.push({ token, text, index: this.#count, ...(logprobs && { logprobs }) })) {
        this.fail(
          ringError('overloaded', `the answer was not read: ${this.#count} tokens wait for the client`),
        );
      }
      this.#count += 1;
      if (isCut) this.#finish(token);
    }
    if (result.isFinished) this.#finish(last);
  }

  #logprobsOf(token: number, wire: ResultLogprobs | undefined): GeneratedLogprobs | undefined {
    if (wire === undefined || this.#tokenizer.eosTokenIds.has(token)) return undefined;
    const candidate = (id: number, logprob: number): Candidate => {
      return { token: id, text: textOfToken(this.#tokenizer, id), logprob };
    };
    return { ...candidate(token, wire.logprob), top: wire.top.map((each) => candidate(...each)) };
  }

  /** An end without a token is what an old peer's ring is told when something failed. */
  #finish(last: number | undefined): void {
    const isLength = last !== undefined && !this.#tokenizer.eosTokenIds.has(last);
    this.#end((settle) => {
      this.#queue.close();
      settle.resolve({ finishReason: isLength ? 'length' : 'stop', completionTokens: this.#count });
    });
  }

  #end(how: (settle: Settle) => void): void {
    const settle = this.#settle;
    if (settle === undefined) return;
    this.#settle = undefined;
    this.#deadline.cancel();
    how(settle);
    this.#onEnd();
  }
}
