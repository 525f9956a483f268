/**
 * What TCP does about an idle stream whose other machine lost its power: it asks whether the other end still knows the stream, and
 * ends it when that is not so or nobody answers. Other idle streams of the in-memory network need no asking: what is cut is
 * healed, and whoever closes says so. Only `memory-pipe.ts` makes one.
 */
import { type Clock, LIMITS, type TimerHandle } from '../../shared/index.js';

/** What comes back. `busy`: bytes are on their way, and ask by themselves. */
export type KeepaliveAnswer = 'unknown' | 'none' | 'busy';

/** After the idle time as libuv has it: a question a second, ten of them. */
const ASK_EVERY_MS = 1_000;
const QUESTIONS_MAX = 10;

/** Asks from the moment of the power cut on, until it has ended the stream or is cancelled. */
export class MemoryKeepalive {
  readonly #clock: Clock;
  readonly #ask: () => KeepaliveAnswer;
  readonly #end: () => void;
  #timer: TimerHandle;
  #asked = 0;

  constructor(clock: Clock, ask: () => KeepaliveAnswer, end: () => void) {
    this.#clock = clock;
    this.#ask = ask;
    this.#end = end;
    this.#timer = this.#wait(LIMITS.tcpKeepaliveMs);
  }

  cancel(): void {
    this.#timer.cancel();
  }

  #wait(forMs: number): TimerHandle {
    return this.#clock.after(forMs, () => this.#due());
  }

  #due(): void {
    const answer = this.#ask();
    if (answer === 'busy') return;
    if (answer === 'unknown' || this.#asked === QUESTIONS_MAX) {
      this.#end();
      return;
    }
    this.#asked += 1;
    this.#timer = this.#wait(ASK_EVERY_MS);
  }
}
