/** A clock of a machine that can sleep: time goes on, timers do not fire, and on waking all that fell due fires at once. */
import type { Clock, TimerHandle } from '../../src/shared/index.js';

/** The clock of one machine, over the clock of the world. */
export class NapClock implements Clock {
  readonly #world: Clock;
  #asleep = false;
  #missed: Array<() => void> = [];

  constructor(world: Clock) {
    this.#world = world;
  }

  now(): number {
    return this.#world.now();
  }

  wall(): number {
    return this.#world.wall();
  }

  after(delayMs: number, fn: () => void): TimerHandle {
    let cancelled = false;
    const run = () => {
      if (cancelled) return;
      if (this.#asleep) this.#missed.push(run);
      else fn();
    };
    const timer = this.#world.after(delayMs, run);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  every(intervalMs: number, fn: () => void): TimerHandle {
    let timer: TimerHandle;
    let stopped = false;
    const arm = () => {
      timer = this.after(intervalMs, () => {
        fn();
        if (!stopped) arm();
      });
    };
    arm();
    return {
      cancel: () => {
        stopped = true;
        timer.cancel();
      },
    };
  }

  sleep(): void {
    this.#asleep = true;
  }

  wake(): void {
    this.#asleep = false;
    for (const run of this.#missed.splice(0)) run();
  }
}
