/**
 * Finds stop sequences in text that arrives in pieces. Text that may be the beginning of one is held back until
 * it is clear, so that a client never sees a part of it. Pure.
 */

/** Looks for the first of some sequences. */
export class StopScanner {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** A sequence was found; nothing more will come out. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The text that is certain to come before any stop sequence. */
  push(text: string): string {
    if (this.#stopped) return '';
    if (this.#stops.length === 0) return text;
    const all = this.#held + text;
    const cut = this.#firstStop(all);
    if (cut !== -1) {
      this.#stopped = true;
      this.#held = '';
      return all.slice(0, cut);
    }
    const keep = this.#pending(all);
    this.#held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }

  /** What was held back, once no more text comes. */
  flush(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }

  #firstStop(text: string): number {
    let first = -1;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at !== -1 && (first === -1 || at < first)) first = at;
    }
    return first;
  }

  /** Length of the longest end of `text` that begins a stop sequence. */
  #pending(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
        if (text.endsWith(stop.slice(0, length))) {
          longest = length;
          break;
        }
      }
    }
    return longest;
  }
}
