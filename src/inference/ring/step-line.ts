/**
 * The steps of one request on one member: computed one after the other, and what they give sent on in the same order while the
 * next one is computed, one at a time. A step that nobody is before begins at once, in the call that brings it: what it asks of
 * the engine is asked before anything else is done. Not what a step is (`ring-worker.ts`). Held by `ring-request.ts`.
 */
import { ExoError, LIMITS } from '../../shared/index.js';

/** What is left of a step when the next one may begin: it is done behind that beginning, while the engine is at work. */
export type Rest = () => void;

/** One step. */
export interface LineStep {
  /** Computes and sends on. */
  run(): Promise<Rest | undefined>;
  /** Gets what `run`, or what it left, throws. */
  onError(error: unknown): void;
  /** It is over, also where it was dropped. */
  onDone?(): void;
}

/** One step, and who waits for its end. */
interface Place {
  readonly step: LineStep;
  readonly onEnd: (() => void)[];
}

/** One request. */
export class StepLine {
  readonly #requestId: string;
  readonly #signal: AbortSignal;
  #current: Place | undefined;
  #queue: Place[] = [];
  /** Undefined: nothing is being sent. */
  #sending: Promise<void> | undefined;
  #waiting: Array<() => void> = [];

  /** @param signal aborted: steps that wait are dropped */
  constructor(requestId: string, signal: AbortSignal) {
    this.#requestId = requestId;
    this.#signal = signal;
  }

  /** Resolves when the steps that are here now are over and nothing is being sent any more. */
  get idle(): Promise<void> {
    const last = this.#queue.at(-1) ?? this.#current;
    const computed = last && new Promise<void>((resolve) => last.onEnd.push(resolve));
    return Promise.resolve(computed).then(() => this.#sending);
  }

  /** Runs `step` after those before it. Throws `overloaded` when too many wait. */
  enqueue(step: LineStep): void {
    if (this.#steps >= LIMITS.ringStepsQueuedMax) {
      throw new ExoError('overloaded', `${this.#steps} steps of request ${this.#requestId} wait already`, {
        retryable: true,
      });
    }
    const place = { step, onEnd: [] };
    if (this.#current === undefined) this.#begin(place);
    else this.#queue.push(place);
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
    if (this.#sending !== undefined) await this.#sending;
    if (this.#signal.aborted) return;
    const sending = send()
      .catch(onError)
      .then(() => {
        if (this.#sending === sending) this.#sending = undefined;
      });
    this.#sending = sending;
  }

  get #steps(): number {
    return this.#queue.length + (this.#current === undefined ? 0 : 1);
  }

  #begin(place: Place): void {
    this.#current = place;
    void this.#run(place);
  }

  async #run({ step, onEnd }: Place): Promise<void> {
    let rest: Rest | undefined;
    try {
      if (!this.#signal.aborted) rest = await step.run();
    } catch (error) {
      step.onError(error);
    }
    this.#current = undefined;
    step.onDone?.();
    const next = this.#queue.shift();
    if (next !== undefined) this.#begin(next);
    try {
      rest?.();
    } catch (error) {
      step.onError(error);
    }
    for (const resolve of onEnd) resolve();
    if (!this.hasRoom) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
