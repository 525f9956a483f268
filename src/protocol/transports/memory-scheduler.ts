/**
 * Runs what is due now in the in-memory network: in batches, in the order in which it was asked for, never inside the
 * call that asked. Microtasks make it quick and, under a virtual clock, part of the same instant.
 */
import { type Clock, LIMITS } from '../../shared/index.js';

/** Something that runs soon. */
export interface Runnable {
  run(): void;
}

/** Runs before the clock gets a turn, so that endless traffic over a perfect link starves neither timers nor sockets. */
const RUNS_PER_TURN = 1_000;

/** The queue of one network. */
export class MemoryScheduler {
  readonly clock: Clock;
  /** Chunks are delivered in this memory, which is reused at once, as a TCP transport does. */
  readonly scratch = Buffer.allocUnsafeSlow(LIMITS.receiveScratchBytes);
  #queue: Runnable[] = [];
  #planned = false;
  #runs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  soon(runnable: Runnable): void {
    this.#queue.push(runnable);
    if (this.#planned) return;
    this.#planned = true;
    if (this.#runs < RUNS_PER_TURN) {
      queueMicrotask(this.#flush);
    } else {
      this.#runs = 0;
      this.clock.after(0, this.#flush);
    }
  }

  readonly #flush = (): void => {
    const batch = this.#queue;
    this.#queue = [];
    this.#planned = false;
    let done = 0;
    try {
      for (const runnable of batch) {
        done += 1;
        runnable.run();
      }
    } finally {
      this.#runs += done;
      // A callback threw: what came after it must not be lost with it.
      for (const runnable of batch.slice(done)) this.soon(runnable);
    }
  };
}
