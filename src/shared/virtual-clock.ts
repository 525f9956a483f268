/**
 * A clock that moves only when told: the twin of `systemClock` for unit tests and the simulator.
 * Timers due at the same instant fire in the order in which they were set, so a run is reproducible.
 */
import type { Clock, TimerHandle } from './clock.js';

/** A timer that is set; its own handle, because simulations set very many. */
class Due implements TimerHandle {
  readonly atMs: number;
  readonly order: number;
  readonly fn: () => void;
  cancelled = false;

  constructor(atMs: number, order: number, fn: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.fn = fn;
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** Enough that a turn of the event loop costs next to nothing. */
const STEPS_PER_TURN = 64;

/** Virtual time in milliseconds; starts at 0 (monotonic) and `wallStartMs` (wall). */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #due: Due[] = [];
  readonly #wallStartMs: number;

  constructor(wallStartMs = 1_700_000_000_000) {
    this.#wallStartMs = wallStartMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wall(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  after(delayMs: number, fn: () => void): TimerHandle {
    const due = new Due(this.#nowMs + Math.max(0, delayMs), this.#order++, fn);
    this.#push(due);
    return due;
  }

  every(intervalMs: number, fn: () => void): TimerHandle {
    let handle: TimerHandle;
    let stopped = false;
    const arm = () => {
      handle = this.after(Math.max(1, intervalMs), () => {
        fn();
        if (!stopped) arm();
      });
    };
    arm();
    return {
      cancel: () => {
        stopped = true;
        handle.cancel();
      },
    };
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#due.reduce((count, due) => count + (due.cancelled ? 0 : 1), 0);
  }

  /**
   * Moves time on by `durationMs`, firing what falls due on the way. Between two instants the pending
   * promise callbacks run, as they would in real time.
   */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    do await settle();
    while (this.#fireNext(endMs));
    this.#nowMs = endMs;
    await settle();
  }

  /**
   * As `advance`, several times as fast, for whoever waits for nothing but this clock: promise callbacks run between two
   * timers, but the event loop turns only now and then, so a `setImmediate` of somebody else comes some timers late.
   */
  run(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    return new Promise((resolve, reject) => {
      let isOver = false;
      let planned = 0;
      const step = () => {
        planned -= 1;
        if (isOver) return;
        try {
          isOver = !this.#fireNext(endMs);
        } catch (error) {
          isOver = true;
          reject(error);
          return;
        }
        if (isOver) {
          this.#nowMs = endMs;
          resolve();
        } else if (planned === 0) {
          plan();
        }
      };
      // Node runs what was planned in one turn of the loop, and between two of them all ticks and promise callbacks.
      const plan = () => {
        for (planned = 0; planned < STEPS_PER_TURN; planned += 1) setImmediate(step);
      };
      plan();
    });
  }

  /** Fires the next timer. False when none is due before the end. */
  #fireNext(endMs: number): boolean {
    // What was called off is dropped without a turn of its own: most deadlines are.
    while (this.#due[0]?.cancelled === true) this.#pop();
    const next = this.#due[0];
    if (next === undefined || next.atMs > endMs) return false;
    this.#pop();
    this.#nowMs = next.atMs;
    next.fn();
    return true;
  }

  #push(due: Due): void {
    const heap = this.#due;
    heap.push(due);
    let index = heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(due, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = due;
  }

  #pop(): void {
    const heap = this.#due;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Lets promise callbacks (and what they queue) run; setImmediate comes after all of them. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
