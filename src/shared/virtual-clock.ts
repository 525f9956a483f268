/**
 * A clock that moves only when told: the twin of `systemClock` for unit tests and the simulator.
 * Timers due at the same instant fire in the order in which they were set, so a run is reproducible.
 */
import type { Clock, TimerHandle } from './clock.js';

interface Due {
  atMs: number;
  order: number;
  fn: () => void;
  cancelled: boolean;
}

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
    const due: Due = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fn, cancelled: false };
    this.#push(due);
    return {
      cancel: () => {
        due.cancelled = true;
      },
    };
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
    for (;;) {
      await settle();
      // What was called off is dropped without a turn of its own: most deadlines are.
      while (this.#due[0]?.cancelled === true) this.#pop();
      const next = this.#due[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#pop();
      this.#nowMs = next.atMs;
      next.fn();
    }
    this.#nowMs = endMs;
    await settle();
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
