/**
 * What only a person can mend, kept for `exo status` and the page: what happened (the newest of each kind, bounded, and
 * forgotten in time), and what stands until it is mended.
 */
import type { Clock } from '../shared/index.js';
import type { MeshWarning } from './mesh.js';

const WARNINGS_MAX = 32;
/** Of one topic; a file that is wrong as a whole is wrong in every line. */
const STANDING_MAX = 32;
/** A warning that was not repeated for this long is forgotten. */
const KEEP_MS = 10 * 60_000;

/** A bounded list without repetitions. */
export class Warnings {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, MeshWarning>();
  readonly #standing = new Map<string, readonly MeshWarning[]>();

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

  /** All that is wrong with a topic now, in the place of what was; returns those that are new. */
  stand(
    topic: string,
    found: ReadonlyArray<{ readonly code: string; readonly message: string }>,
  ): readonly MeshWarning[] {
    const before = this.#standing.get(topic) ?? [];
    const fresh: MeshWarning[] = [];
    const now = found.slice(0, STANDING_MAX).map(({ code, message }) => {
      const known = before.find((each) => each.code === code && each.message === message);
      if (known !== undefined) return known;
      const warning = { code, message, atMs: this.#clock.wall() };
      fresh.push(warning);
      return warning;
    });
    this.#standing.set(topic, now);
    return fresh;
  }

  list(): readonly MeshWarning[] {
    const fromMs = this.#clock.wall() - KEEP_MS;
    const recent = [...this.#byKey.values()].filter((warning) => warning.atMs >= fromMs);
    return [...recent, ...[...this.#standing.values()].flat()];
  }
}
