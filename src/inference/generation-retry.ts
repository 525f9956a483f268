/**
 * Begins a generation again when its ring broke before the first token: for some milliseconds after two nodes met or one
 * was lost, the nodes see different rings. Every try has a request id of its own, because the members refuse for a while
 * what still comes for the one before. After the first token nothing is tried again: the answer would begin anew in
 * mid-sentence. Stands between `generations.ts` and the ring.
 */
import type { Result } from '../protocol/index.js';
import {
  type Clock,
  type ErrorCode,
  ExoError,
  LIMITS,
  type Logger,
  type Random,
  randomInt,
  type TimerHandle,
  toExoError,
} from '../shared/index.js';
import { NoEntrance } from './entrance.js';
import type { Ring } from './ring.js';
import { resultError } from './ring-errors.js';
import type { LocalPrompt } from './ring-options.js';
import type { RingClient } from './ring-request.js';

/** A ring that is being put together again. What is unknown, too long or full stays so. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'ring-incomplete',
  'peer-lost',
  'peer-unreachable',
  'connection-closed',
]);

/** What the tries are made with. */
export interface GenerationRetryComponents {
  readonly ring: Pick<Ring, 'submit' | 'end'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** One prompt, given to the ring until a token comes back. */
export class GenerationRetry {
  readonly #prompt: LocalPrompt;
  readonly #parts: GenerationRetryComponents;
  readonly #deadlineMs: number;
  readonly #settled: Promise<void>;
  #settle: () => void = () => undefined;
  /** Id of the try that runs; undefined in a pause and after the end. */
  #current: string | undefined;
  #pause: TimerHandle | undefined;
  #tries = 0;
  #firstFailureMs: number | undefined;
  #isAnswered = false;

  /** `timeoutMs`: the deadline of the whole answer, from now; only looked at before a pause. */
  constructor(prompt: LocalPrompt, timeoutMs: number, components: GenerationRetryComponents) {
    this.#prompt = prompt;
    this.#parts = components;
    this.#deadlineMs = components.clock.now() + timeoutMs;
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Resolves when the ring has taken the prompt over, when the client has been failed, or after `end`. Call once. */
  begin(): Promise<void> {
    this.#try();
    return this.#settled;
  }

  /** The client is done, in whatever way: nothing is tried any more, and the ring is freed. Idempotent. */
  end(): void {
    this.#pause?.cancel();
    this.#leave();
    this.#settle();
  }

  #try(): void {
    this.#tries += 1;
    const { requestId } = this.#prompt;
    const id = this.#tries === 1 ? requestId : `${requestId}.${this.#tries}`;
    this.#current = id;
    const client: RingClient = {
      deliver: (result) => this.#deliver(id, result),
      fail: (error) => this.#fail(id, error),
    };
    this.#parts.ring.submit({ ...this.#prompt, requestId: id, client }).then(
      () => {
        if (this.#current === id) this.#settle();
      },
      (error) => this.#fail(id, toExoError(error)),
    );
  }

  #deliver(id: string, result: Result): void {
    if (this.#current !== id) return;
    const error = resultError(result);
    if (error !== undefined) {
      this.#fail(id, error);
      return;
    }
    this.#isAnswered = true;
    this.#prompt.client.deliver(result);
  }

  #fail(id: string, error: ExoError): void {
    if (this.#current !== id) return;
    this.#leave();
    const { clock, log } = this.#parts;
    const nowMs = clock.now();
    this.#firstFailureMs ??= nowMs;
    const delayMs = this.#delayMs(nowMs, error);
    if (delayMs === undefined) {
      const last = this.#tries === 1 ? error : this.#exhausted(error, nowMs - this.#firstFailureMs);
      log.warn('generation-failed', { requestId: id, error: last });
      this.#prompt.client.fail(last);
      return;
    }
    log.info('generation-retried', { requestId: id, error, delayMs });
    this.#pause = clock.after(delayMs, () => this.#try());
  }

  /** Until the next try; undefined when there is none. */
  #delayMs(nowMs: number, error: ExoError): number | undefined {
    if (!this.#isPassing(error)) return undefined;
    const { generationRetryMs, generationRetryDelayMsMin, generationRetryDelayMsMax } = LIMITS;
    const delayMs = randomInt(this.#parts.random, generationRetryDelayMsMin, generationRetryDelayMsMax);
    // A last try that is cut by the deadline would tell the client of a timeout, not of the ring.
    const deadlineMs = this.#deadlineMs - generationRetryDelayMsMax;
    const untilMs = Math.min(deadlineMs, (this.#firstFailureMs ?? nowMs) + generationRetryMs);
    return nowMs + delayMs < untilMs ? delayMs : undefined;
  }

  #isPassing(error: ExoError): boolean {
    return !this.#isAnswered && PASSING.has(error.code) && !(error instanceof NoEntrance);
  }

  #exhausted(error: ExoError, tookMs: number): ExoError {
    if (!this.#isPassing(error)) return error;
    return new ExoError(
      error.code,
      `the nodes did not come to one ring in ${(tookMs / 1000).toFixed(1)} s (${this.#tries} tries; "exo topology" on each node shows what it sees): ${error.message}`,
      { retryable: true, cause: error },
    );
  }

  #leave(): void {
    const id = this.#current;
    this.#current = undefined;
    if (id !== undefined) this.#parts.ring.end(id);
  }
}
