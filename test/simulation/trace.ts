/** What happened in a run: the last events for a person, and one hash over all of them, by which two runs are compared. */

interface Note {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  readonly more: string;
}

/** Events that are kept for the report of a failure. */
const KEPT = 400;

/** The log of one run. */
export class Trace {
  readonly #kept: Note[] = [];
  #next = 0;
  #low = 0x811c9dc5;
  #high = 0x9e3779b9;
  #count = 0;

  /** How many events there were. */
  get count(): number {
    return this.#count;
  }

  /** 16 hex digits over every event, its time and its order. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  /** Something worth a line in a report. */
  note(atMs: number, who: string, what: string, more = ''): void {
    this.mark(atMs, `${who} ${what} ${more}`);
    this.#kept[this.#next] = { atMs, who, what, more };
    this.#next = (this.#next + 1) % KEPT;
  }

  /** Something that two runs must have in common, and nobody wants to read. */
  mark(atMs: number, text: string, number = 0): void {
    this.#count += 1;
    this.#mix(Math.floor(atMs * 1_000));
    this.#mix(number);
    for (let index = 0; index < text.length; index += 1) this.#mix(text.charCodeAt(index));
  }

  /** The last events, oldest first. */
  last(count: number): string[] {
    const inOrder = [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)];
    return inOrder
      .slice(-count)
      .map(
        ({ atMs, who, what, more }) =>
          `${(atMs / 1_000).toFixed(3).padStart(9)} ${who.padEnd(6)} ${what} ${more}`,
      );
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul(this.#high ^ (value + (this.#low >>> 7)), 0x85ebca6b);
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}
