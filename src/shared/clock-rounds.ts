/**
 * The repeating timers of a machine's clock, on one grid: what is due in the same quarter of a second runs in one turn, because on an idle
 * machine it is the waking up that costs, not the work. Gets time and a timer from `clock.ts`, its only caller.
 */
import type { TimerHandle } from './timer-handle.js';

/** What rounds are made with. */
export interface RoundsComponents {
  now(): number;
  after(delayMs: number, fn: () => void): TimerHandle;
}

interface Round {
  readonly intervalMs: number;
  readonly fn: () => void;
  dueMs: number;
}

/** Intervals that are multiples of this share their turns. */
export const ROUND_MS = 250;
/** Node counts in whole milliseconds and may be up to one early. */
const EARLY_MS = 1;

/** Everything that is done again and again in one process. */
export class ClockRounds {
  readonly #c: RoundsComponents;
  readonly #rounds = new Set<Round>();
  #timer: { readonly handle: TimerHandle; readonly dueMs: number } | undefined;

  constructor(components: RoundsComponents) {
    this.#c = components;
  }

  /** As `Clock.every`, for a multiple of `ROUND_MS`; the first call comes up to half a round early or late. */
  every(intervalMs: number, fn: () => void): TimerHandle {
    const round: Round = { intervalMs, fn, dueMs: onGrid(this.#c.now() + intervalMs) };
    this.#rounds.add(round);
    this.#arm();
    return {
      cancel: () => {
        this.#rounds.delete(round);
        if (this.#rounds.size === 0) this.#disarm();
      },
    };
  }

  #run(): void {
    const nowMs = this.#c.now();
    try {
      for (const round of this.#rounds) {
        if (round.dueMs > nowMs + EARLY_MS) continue;
        // After a sleep once, and then again after a whole interval: not for every time that was missed.
        round.dueMs = onGrid(nowMs + round.intervalMs);
        round.fn();
      }
    } finally {
      this.#arm();
    }
  }

  #arm(): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const round of this.#rounds) dueMs = Math.min(dueMs, round.dueMs);
    if (dueMs === (this.#timer?.dueMs ?? Number.POSITIVE_INFINITY)) return;
    this.#disarm();
    const handle = this.#c.after(Math.max(0, Math.ceil(dueMs - this.#c.now())), () => {
      this.#timer = undefined;
      this.#run();
    });
    this.#timer = { handle, dueMs };
  }

  #disarm(): void {
    this.#timer?.handle.cancel();
    this.#timer = undefined;
  }
}

function onGrid(atMs: number): number {
  return Math.round(atMs / ROUND_MS) * ROUND_MS;
}
