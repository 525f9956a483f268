/**
 * The clock of one simulated process, over the virtual time of the whole run: its own monotonic origin, a wall clock that can
 * be wrong and can jump, timers that do not run while the process is stopped (SIGSTOP) and never again after it was killed.
 */
import type { Clock, TimerHandle } from '../../src/shared/index.js';

/** A timer of a process, and its handle. */
class Due implements TimerHandle {
  readonly clock: ProcessClock;
  readonly fn: () => void;
  over = false;
  #handle: TimerHandle;

  constructor(clock: ProcessClock, base: Clock, delayMs: number, fn: () => void) {
    this.clock = clock;
    this.fn = fn;
    this.#handle = base.after(delayMs, () => clock.fire(this));
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.#handle.cancel();
    this.clock.forget();
  }
}

/** Time as one process sees it. */
export class ProcessClock implements Clock {
  /** Milliseconds by which this machine's wall clock is ahead. */
  skewMs: number;
  readonly #base: Clock;
  readonly #originMs: number;
  readonly #onFault: (error: unknown) => void;
  /** Fell due while the process was stopped. */
  #late: Due[] = [];
  #state: 'running' | 'paused' | 'dead' = 'running';
  #pending = 0;

  /** `onFault` hears what a timer's function throws: a process would end with it. */
  constructor(
    base: Clock,
    how: { readonly skewMs: number; readonly originMs: number; readonly onFault: (error: unknown) => void },
  ) {
    this.#base = base;
    this.skewMs = how.skewMs;
    this.#originMs = how.originMs;
    this.#onFault = how.onFault;
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#pending;
  }

  now(): number {
    return this.#originMs + this.#base.now();
  }

  wall(): number {
    return this.#base.wall() + this.skewMs;
  }

  after(delayMs: number, fn: () => void): TimerHandle {
    this.#pending += 1;
    return new Due(this, this.#base, delayMs, fn);
  }

  every(intervalMs: number, fn: () => void): TimerHandle {
    let isOver = false;
    let handle: TimerHandle;
    const arm = () => {
      handle = this.after(Math.max(1, intervalMs), () => {
        fn();
        if (!isOver) arm();
      });
    };
    arm();
    return {
      cancel: () => {
        isOver = true;
        handle.cancel();
      },
    };
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  /** What fell due meanwhile runs now, in the order in which it did. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    const late = this.#late;
    this.#late = [];
    for (const due of late) this.#base.after(0, () => this.fire(due));
  }

  kill(): void {
    this.#state = 'dead';
    this.#late = [];
  }

  /** A timer was called off. */
  forget(): void {
    this.#pending -= 1;
  }

  /** A timer fell due. */
  fire(due: Due): void {
    if (due.over || this.#state === 'dead') return;
    if (this.#state === 'paused') {
      this.#late.push(due);
      return;
    }
    due.over = true;
    this.#pending -= 1;
    try {
      due.fn();
    } catch (error) {
      this.#onFault(error);
    }
  }
}
