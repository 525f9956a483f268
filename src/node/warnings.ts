/**
 * What only a person can mend, kept for `exo status` and the page: what happened (the newest of each kind, bounded, and
 * forgotten in time), and what stands until it is mended.
 */
import { BoundedMap, type Clock, LIMITS, SourceLimiter } from '../shared/index.js';
import type { MeshWarning } from './mesh.js';

/** A warning that was not repeated for this long is forgotten. */
const KEEP_MS = 10 * 60_000;
/** New ones of one source: a peer that talks without end neither fills the log nor pushes out what others said. */
const NEW_PER_SECOND = 0.1;
const NEW_BURST = 8;

/** A bounded list without repetitions. */
export class Warnings {
  readonly #clock: Clock;
  readonly #byKey = new BoundedMap<string, MeshWarning>(LIMITS.warningsKept);
  readonly #standing = new Map<string, readonly MeshWarning[]>();
  readonly #rates = new SourceLimiter(NEW_PER_SECOND, NEW_BURST, LIMITS.warningSourcesMax);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns whether it is a new one that is kept. `source`: whoever it comes from, of which only so many are. */
  add(code: string, message: string, source = code): boolean {
    const key = `${code} ${message}`;
    if (!this.#byKey.has(key) && !this.#rates.take(source, this.#clock.now())) return false;
    const known = this.#byKey.delete(key);
    this.#byKey.set(key, { code, message, atMs: this.#clock.wall() });
    return !known;
  }

  /** All that is wrong with a topic now, in the place of what was; returns those that are new. */
  stand(
    topic: string,
    found: ReadonlyArray<{ readonly code: string; readonly message: string }>,
  ): readonly MeshWarning[] {
    const before = this.#standing.get(topic) ?? [];
    const fresh: MeshWarning[] = [];
    const now = found.slice(0, LIMITS.warningsStandingMax).map(({ code, message }) => {
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
