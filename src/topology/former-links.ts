/**
 * Who was linked with a node just before the first sign of its loss. When a node dies, all its neighbours notice
 * within moments and each tells; to know who noticed by himself, the links as they were before are needed. Pure.
 */
import { BoundedMap, LIMITS } from '../shared/index.js';
import type { EntryTable, StoredEntry } from './entry.js';
import { linkedIds } from './reach.js';

/** Bounded memory of links, by lost node. */
export class FormerLinks {
  readonly #linksOf = new BoundedMap<string, ReadonlySet<string>>(LIMITS.formerLinksKept);

  /** Call before `next` replaces `known` in `entries`. */
  observe(entries: EntryTable, known: StoredEntry, next: StoredEntry): void {
    this.#linksOf.delete(next.entry.id);
    for (const id of next.edges.keys()) if (!known.edges.has(id)) this.#linksOf.delete(id);
    const dropped = [...known.edges.keys()].filter((id) => !next.edges.has(id));
    const lost = [...next.lost.keys()].filter((id) => next.lost.get(id) !== known.lost.get(id));
    for (const id of [...dropped, ...lost]) {
      if (this.#linksOf.has(id)) continue;
      this.#linksOf.set(id, new Set(linkedIds(entries, id)));
    }
  }

  /** Links of `id` before its loss; the present ones when it was not lost. */
  of(entries: EntryTable, id: string): ReadonlySet<string> {
    return this.#linksOf.get(id) ?? new Set(linkedIds(entries, id));
  }

  forget(id: string): void {
    this.#linksOf.delete(id);
  }
}
