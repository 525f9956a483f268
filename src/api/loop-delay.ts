/**
 * How late the event loop comes to its work: what a metric of a busy node is made of. Takes its samples from the
 * clock; runs while the API does.
 */
import type { Clock, TimerHandle } from '../shared/index.js';

/** Often enough to see a block of a quarter of a second, seldom enough to cost nothing. */
const SAMPLE_MS = 250;
/** One minute of samples. */
const SAMPLES_MAX = 240;

/** Delays of the last minute, in milliseconds. */
export class LoopDelay {
  readonly #clock: Clock;
  readonly #samplesMs: number[] = [];
  #timer: TimerHandle | undefined;
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(): void {
    let dueMs = this.#clock.now() + SAMPLE_MS;
    this.#timer ??= this.#clock.every(SAMPLE_MS, () => {
      const nowMs = this.#clock.now();
      this.#samplesMs[this.#next] = Math.max(0, nowMs - dueMs);
      this.#next = (this.#next + 1) % SAMPLES_MAX;
      dueMs = nowMs + SAMPLE_MS;
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** 0 before the first sample. */
  quantileMs(quantile: number): number {
    const sorted = [...this.#samplesMs].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0;
  }
}
