/**
 * Looks, while an answer is given, whether it stands still: nothing came for a while, by the watch's own time. Whether somebody is to
 * blame, and what is done, is its owner's matter (`generation-attempts.ts`). A machine that vanishes closes no connection, and
 * membership waits ten seconds before it calls one dead; a reader need not wait so long where others can go on.
 */
import { type Clock, LIMITS, type TimerHandle } from '../../shared/index.js';

/** One answer's watch. */
export class StallWatch {
  readonly #clock: Clock;
  readonly #onStill: () => void;
  #timer: TimerHandle | undefined;
  #heardMs = 0;
  #lookedMs = 0;

  /** `onStill` is called at every look at which the answer stands still. */
  constructor(clock: Clock, onStill: () => void) {
    this.#clock = clock;
    this.#onStill = onStill;
  }

  /** Something came, or has been begun. The first time begins the watch. */
  heard(): void {
    this.#heardMs = this.#clock.now();
    if (this.#timer === undefined) this.#arm();
  }

  /** Ends the watch. Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#lookedMs = this.#clock.now();
    this.#timer = this.#clock.after(LIMITS.generationLookMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.now();
    // This process did not run itself: what has come meanwhile is read after this timer.
    const isLate = nowMs - this.#lookedMs >= 2 * LIMITS.generationLookMs;
    if (isLate) this.#heardMs = nowMs;
    this.#arm();
    if (nowMs - this.#heardMs >= LIMITS.generationStillMs) this.#onStill();
  }
}
