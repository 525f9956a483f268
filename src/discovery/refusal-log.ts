/**
 * The refusals of the last while: one per subject and code, newest last, bounded. Each source has a share, and where there is no room
 * strangers go first: what the user configured or has met stays readable, whatever a stranger makes up. The pool keeps one.
 */
import type { Clock } from '../shared/index.js';
import type { NewRefusal, Refusal } from './candidate.js';

/** How much is kept. */
export interface RefusalLogOptions {
  readonly entriesMax: number;
  /** Of one source that nobody knows. */
  readonly perStrangerMax: number;
  /** Of one source where configured or proven peers are. */
  readonly perKnownMax: number;
}

interface Entry {
  readonly refusal: Refusal;
  readonly source: string | undefined;
}

/** A bounded list that updates instead of repeating. */
export class RefusalLog {
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #options: RefusalLogOptions;
  readonly #c: { readonly clock: Clock; readonly isKnown: (source: string) => boolean };

  /** @param components `isKnown`: whether configured or proven peers are at that source, now. */
  constructor(
    options: RefusalLogOptions,
    components: { readonly clock: Clock; readonly isKnown: (source: string) => boolean },
  ) {
    this.#options = options;
    this.#c = components;
  }

  /** True when it says something that the list did not hold yet (worth a log line). */
  add({ source, ...refusal }: NewRefusal): boolean {
    const key = `${refusal.subject}\n${refusal.code}`;
    const known = this.#entries.get(key);
    this.#entries.delete(key);
    this.#entries.set(key, { refusal: { ...refusal, atMs: this.#c.clock.wall() }, source });
    if (known === undefined) this.#makeRoom(source);
    return known?.refusal.reason !== refusal.reason;
  }

  /** Drops what was said of a subject. */
  forget(subject: string): void {
    for (const [key, { refusal }] of this.#entries)
      if (refusal.subject === subject) this.#entries.delete(key);
  }

  list(): Refusal[] {
    return [...this.#entries.values()].map(({ refusal }) => refusal);
  }

  /** At most one entry was added. */
  #makeRoom(source: string | undefined): void {
    const { entriesMax, perStrangerMax, perKnownMax } = this.#options;
    if (source !== undefined) {
      const own = this.#of(source);
      if (own.length > (this.#c.isKnown(source) ? perKnownMax : perStrangerMax)) {
        this.#entries.delete(own[0]!);
        return;
      }
    }
    if (this.#entries.size > entriesMax) this.#entries.delete(this.#mostDispensable());
  }

  #of(source: string): string[] {
    return [...this.#entries].flatMap(([key, entry]) => (entry.source === source ? [key] : []));
  }

  /** The oldest of the stranger who has most; else of the known source that has most; else the oldest of all. */
  #mostDispensable(): string {
    const counts = new Map<string, number>();
    for (const { source } of this.#entries.values()) {
      if (source !== undefined) counts.set(source, (counts.get(source) ?? 0) + 1);
    }
    const all = [...counts.keys()];
    const strangers = all.filter((source) => !this.#c.isKnown(source));
    let most: string | undefined;
    for (const source of strangers.length > 0 ? strangers : all) {
      if (most === undefined || counts.get(source)! > counts.get(most)!) most = source;
    }
    return most === undefined ? this.#entries.keys().next().value! : this.#of(most)[0]!;
  }
}
