/** Since when the nodes of known entries are not present, as it was found at the last look. Used by the view. */
import { LIMITS } from '../shared/index.js';

/** Absent nodes, the longest absent one first. */
export class Absences {
  readonly #sinceMs = new Map<string, number>();

  has(id: string): boolean {
    return this.#sinceMs.has(id);
  }

  /** Takes down who is absent now. Returns who has been so for `topologyTombstoneMs`. */
  look(ids: Iterable<string>, present: ReadonlySet<string>, nowMs: number): string[] {
    for (const id of ids) {
      if (present.has(id)) this.#sinceMs.delete(id);
      else if (!this.#sinceMs.has(id)) this.#sinceMs.set(id, nowMs);
    }
    return [...this.#sinceMs]
      .filter(([, sinceMs]) => nowMs - sinceMs >= LIMITS.topologyTombstoneMs)
      .map(([id]) => id);
  }

  /** Who has been absent for longest; undefined when all are present. */
  longest(): string | undefined {
    return this.#sinceMs.keys().next().value;
  }

  forget(id: string): void {
    this.#sinceMs.delete(id);
  }
}
