/**
 * The steps of one request on one member: computed one after the other, and what they give sent on in the same order while the
 * next one is computed, one at a time. Not what a step is (`ring-worker.ts`). Held by `ring-request.ts`.
 */
import { ExoError, LIMITS } from '../../shared/index.js';

/** One request. */
export class StepLine {
  readonly #requestId: string;
  readonly #signal: AbortSignal;
  #steps = 0;
  #computed: Promise<void> = Promise.resolve();
  #sent: Promise<void> = Promise.resolve();
  #waiting: Array<() => void> = [];

  /** @param signal aborted: steps that wait are dropped */
  constructor(requestId: string, signal: AbortSignal) {
    this.#requestId = requestId;
    this.#signal = signal;
  }

  /** Resolves when no step runs and nothing is being sent any more. */
  get idle(): Promise<void> {
    return this.#computed.then(() => this.#sent);
  }

  /** Runs `step` after those before it; `onError` gets what it throws. Throws `overloaded` when too many wait. */
  enqueue(step: () => Promise<void>, onError: (error: unknown) => void): void {
    if (this.#steps >= LIMITS.ringStepsQueuedMax) {
      throw new ExoError('overloaded', `${this.#steps} steps of request ${this.#requestId} wait already`, {
        retryable: true,
      });
    }
    this.#steps += 1;
    this.#computed = this.#computed
      .then(() => (this.#signal.aborted ? undefined : step()))
      .catch(onError)
      .then(() => this.#done());
  }

  /** So few steps wait that another one is welcome. */
  get hasRoom(): boolean {
    return this.#steps < LIMITS.ringStepsHeld;
  }

  /** Resolves when there is room. */
  room(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Begins to send when what was sent before has been taken over, and resolves then; `onError` gets what it throws. */
  async send(send: () => Promise<void>, onError: (error: unknown) => void): Promise<void> {
    await this.#sent;
    if (!this.#signal.aborted) this.#sent = send().catch(onError);
  }

  #done(): void {
    this.#steps -= 1;
    if (!this.hasRoom) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
