/**
 * Text of an answer as its tokens come: a token may be a part of a character, so what does not yet decode to whole
 * characters is held back. Decodes a short window, not the whole answer, for every token. Pure.
 */
import type { Tokenizer } from '../engine.js';

/** With so many held, the first of them are no part of the character that is still coming. */
const HELD_TOKENS_MAX = 8;
/** A character has at most four bytes; three of them may be waiting for the last. */
const PART_TOKENS_MAX = 3;

/** One answer. */
export class IncrementalDecoder {
  readonly #tokenizer: Tokenizer;
  /** Tokens already shown that the next ones may join with (a space before a word), then tokens held back. */
  #window: number[] = [];
  #shown = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** The text that becomes certain with this token; often empty within a character. */
  push(token: number): string {
    this.#window.push(token);
    const text = this.#pending();
    if (!text.endsWith('\ufffd')) return this.#show(text, this.#window.length);
    if (this.#window.length - this.#shown < HELD_TOKENS_MAX) return '';
    // Bytes that are no text, or a real U+FFFD: shown up to where a character may be beginning.
    for (let part = PART_TOKENS_MAX; part > 0; part -= 1) {
      const tail = this.#tokenizer.decode(this.#window.slice(-part));
      const before = this.#pending(-part);
      if (before + tail === text) return this.#show(before, this.#window.length - part);
    }
    return this.#show(text, this.#window.length);
  }

  /** What is still held back, complete or not. */
  flush(): string {
    const text = this.#pending();
    this.#window = [];
    this.#shown = 0;
    return text;
  }

  /** The text not yet shown, of the tokens up to `end`. */
  #pending(end?: number): string {
    const before = this.#tokenizer.decode(this.#window.slice(0, this.#shown));
    return this.#tokenizer.decode(this.#window.slice(0, end)).slice(before.length);
  }

  /** The tokens up to `end` are shown now; those shown before are not needed any more. */
  #show(text: string, end: number): string {
    this.#window = this.#window.slice(this.#shown);
    this.#shown = end - this.#shown;
    return text;
  }
}
