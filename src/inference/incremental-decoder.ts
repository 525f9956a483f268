/**
 * Text of an answer as its tokens come: a token may be a part of a character, so what does not yet decode to whole
 * characters is held back. Decodes a short window, not the whole answer, for every token. Pure.
 */
import type { Tokenizer } from './engine.js';

/** A character is at most four bytes, so four tokens; what is longer is no character at all. */
const HELD_TOKENS_MAX = 8;

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
    if (text.endsWith('\ufffd') && this.#window.length - this.#shown < HELD_TOKENS_MAX) return '';
    this.#window = this.#window.slice(this.#shown);
    this.#shown = this.#window.length;
    return text;
  }

  /** What is still held back, complete or not. */
  flush(): string {
    const text = this.#pending();
    this.#window = [];
    this.#shown = 0;
    return text;
  }

  #pending(): string {
    const before = this.#tokenizer.decode(this.#window.slice(0, this.#shown));
    return this.#tokenizer.decode(this.#window).slice(before.length);
  }
}
