/** What only a person can mend, kept for `exo status` and the page: the newest of each kind, bounded. */
import type { Clock } from '../shared/index.js';
import type { MeshWarning } from './mesh.js';

const WARNINGS_MAX = 32;
/** A warning that was not repeated for this long is forgotten. */
const KEEP_MS = 10 * 60_000;

/** A bounded list without repetitions. */
export class Warnings {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, MeshWarning>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns whether it is a new one. */
  add(code: string, message: string): boolean {
    const key = `${code} ${message}`;
    const known = this.#byKey.delete(key);
    this.#byKey.set(key, { code, message, atMs: this.#clock.wall() });
    const oldest = this.#byKey.keys().next();
    if (this.#byKey.size > WARNINGS_MAX && !oldest.done) this.#byKey.delete(oldest.value);
    return !known;
  }

  list(): readonly MeshWarning[] {
    const fromMs = this.#clock.wall() - KEEP_MS;
    return [...this.#byKey.values()].filter((warning) => warning.atMs >= fromMs);
  }
}
