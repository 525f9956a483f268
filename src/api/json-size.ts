/**
 * How many values a JSON text has and how deep they lie in each other, counted as it comes in and before it is parsed: a body of a
 * few megabytes of brackets keeps the parser, and who looks at what it has made, busy for seconds. Pure; not a check of the text.
 * Called by `body.ts`.
 */
import { LIMITS } from '../shared/index.js';

/** Less cannot have too many, and is parsed in some milliseconds whatever it is. */
const SMALL_CHARS = 65_536;

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d];

/** The size of one text, given in pieces. */
export class JsonSize {
  #chars = 0;
  #values = 1;
  #depth = 0;
  #found: string | undefined;
  #isInString = false;
  /** The next character belongs to a backslash. */
  #isEscaped = false;

  /** What is too much of the text so far, in words; undefined where nothing is. */
  get excess(): string | undefined {
    return this.#chars <= SMALL_CHARS ? undefined : this.#found;
  }

  /** The next piece, cut anywhere. */
  feed(text: string): void {
    this.#chars += text.length;
    for (let at = 0; at < text.length && this.#found === undefined; at += 1) {
      if (this.#isInString) {
        at = this.#endOfString(text, at);
        continue;
      }
      switch (text.charCodeAt(at)) {
        case QUOTE:
          this.#isInString = true;
          break;
        case COMMA:
          this.#values += 1;
          break;
        case LIST:
        case OBJECT:
          this.#values += 1;
          this.#depth += 1;
          break;
        case LIST_END:
        case OBJECT_END:
          this.#depth -= 1;
          break;
      }
      if (this.#depth > LIMITS.httpJsonDepthMax)
        this.#found = `lists and objects in it lie deeper than ${LIMITS.httpJsonDepthMax} in each other`;
      if (this.#values > LIMITS.httpJsonValuesMax)
        this.#found = `it has more than ${LIMITS.httpJsonValuesMax} values`;
    }
  }

  /** Of the quote that ends the string that goes on at `start`; the end of the text where none does. */
  #endOfString(text: string, start: number): number {
    let from = this.#isEscaped ? start + 1 : start;
    this.#isEscaped = false;
    for (;;) {
      const quote = text.indexOf('"', from);
      const end = quote < 0 ? text.length : quote;
      let slashes = 0;
      while (end - slashes > from && text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1;
      if (quote < 0) {
        this.#isEscaped = slashes % 2 === 1;
        return end;
      }
      if (slashes % 2 === 0) {
        this.#isInString = false;
        return end;
      }
      from = quote + 1;
    }
  }
}

/** What is too much of a whole text, in words; undefined where nothing is. */
export function jsonExcess(text: string): string | undefined {
  const size = new JsonSize();
  size.feed(text);
  return size.excess;
}
