/** The refusals of the last while: one per subject and code, newest last, bounded. The pool keeps one. */
import type { Clock } from '../shared/index.js';
import type { Refusal } from './candidate.js';

/** A bounded list that updates instead of repeating. */
export class RefusalLog {
  readonly #entries = new Map<string, Refusal>();
  readonly #clock: Clock;
  readonly #entriesMax: number;

  constructor(clock: Clock, entriesMax: number) {
    this.#clock = clock;
    this.#entriesMax = entriesMax;
  }

  /** True when it says something that the list did not hold yet (worth a log line). */
  add(refusal: Omit<Refusal, 'atMs'>): boolean {
    const key = `${refusal.subject}\n${refusal.code}`;
    const known = this.#entries.get(key);
    this.#entries.delete(key);
    this.#entries.set(key, { ...refusal, atMs: this.#clock.wall() });
    if (this.#entries.size > this.#entriesMax) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    return known?.reason !== refusal.reason;
  }

  /** Drops what was said of a subject. */
  forget(subject: string): void {
    for (const [key, refusal] of this.#entries) if (refusal.subject === subject) this.#entries.delete(key);
  }

  list(): Refusal[] {
    return [...this.#entries.values()];
  }
}
