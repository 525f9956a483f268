/** That something changed which people or the ring look at. Many things change at once; who listens hears of it once. Made by `node.ts`. */
import type { Clock } from '../shared/index.js';

/** Gathers the changes of one moment. */
export class ChangeSignal {
  readonly #clock: Clock;
  readonly #tell: () => void;
  #meshAtMs = 0;
  #pending = false;
  #stopped = false;

  /** `tell` is called in a microtask of its own. */
  constructor(clock: Clock, tell: () => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** `clock.now()` of the last change of a peer or of the view. */
  get meshAtMs(): number {
    return this.#meshAtMs;
  }

  /** Anything changed. */
  changed(): void {
    if (this.#pending || this.#stopped) return;
    this.#pending = true;
    queueMicrotask(() => {
      this.#pending = false;
      this.#tell();
    });
  }

  /** A peer or the view changed. */
  meshChanged(): void {
    this.#meshAtMs = this.#clock.now();
    this.changed();
  }

  /** Nobody is told any more. */
  stop(): void {
    this.#stopped = true;
  }
}
