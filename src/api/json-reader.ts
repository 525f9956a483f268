/**
 * JSON read as it comes in: `JSON.parse` of a whole body of megabytes holds the event loop for a tenth of a second, and of a body of
 * brackets for seconds. What a text means here is what `JSON.parse` says of it; strings and numbers are given to that, one by one.
 * Bounded in values, depth and length of a number. Why no package does it: docs/adr/0026. Pure. Called by `body.ts` for what is not small.
 */
import { LIMITS, printable } from '../shared/index.js';
import { HttpError } from './openai-errors.js';

/** What may come next. */
type Expected = 'value' | 'value or ]' | 'name or }' | 'name' | ':' | ', or ]' | ', or }' | 'nothing more';

/** An object that is not complete. */
interface OpenObject {
  readonly object: Record<string, unknown>;
  /** Of the value that comes next. */
  name: string;
  names: number;
}

type Open = { readonly list: unknown[] } | OpenObject;

const [TAB, LINE_FEED, RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const [QUOTE, COMMA, COLON, BACKSLASH] = [0x22, 0x2c, 0x3a, 0x5c];
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d];
/** Whatever JSON.parse has to refuse of a number or a word is among it. */
const WORD = /[-+.\w]*/y;
/** An escape that the next piece goes on with, where its backslash is not escaped itself. */
const CUT_ESCAPE = /\\(?:u[0-9a-fA-F]{0,3})?$/;
const ESCAPE_CHARS = 6;

/** One text, given in pieces that are cut anywhere. Throws `http-invalid` for what is no JSON or too much; use it no more then. */
export class JsonReader {
  readonly #open: Open[] = [];
  #expected: Expected = 'value';
  #inside: 'string' | 'word' | undefined;
  /** Of the string or word that goes on. */
  #partial = '';
  /** The beginning of an escape at the end of a piece. */
  #cut = '';
  #values = 1;
  /** Characters of all pieces before this one. */
  #before = 0;
  #result: unknown;

  /** The next piece. */
  feed(piece: string): void {
    const text = this.#cut + piece;
    this.#before -= this.#cut.length;
    this.#cut = '';
    let at = 0;
    while (at < text.length) {
      if (this.#inside === 'string') at = this.#string(text, at);
      else if (this.#inside === 'word') at = this.#word(text, at);
      else at = this.#sign(text, at);
    }
    this.#before += text.length;
  }

  /** The value. Throws `http-invalid` where the text is not at its end. */
  end(): unknown {
    if (this.#inside === 'word') this.#wordEnds();
    if (this.#inside === 'string' || this.#expected !== 'nothing more') {
      throw invalid(`it ends in the middle, after ${this.#before} characters`);
    }
    return this.#result;
  }

  /** One character outside of strings and words. */
  #sign(text: string, at: number): number {
    switch (text.charCodeAt(at)) {
      case SPACE:
      case LINE_FEED:
      case RETURN:
      case TAB:
        return at + 1;
      case QUOTE:
        if (!this.#takesValue && !this.#expected.startsWith('name')) throw this.#unexpected(text, at);
        this.#inside = 'string';
        return at + 1;
      case COMMA:
        if (this.#expected === ', or ]') this.#expected = 'value';
        else if (this.#expected === ', or }') this.#expected = 'name';
        else throw this.#unexpected(text, at);
        this.#count();
        return at + 1;
      case COLON:
        if (this.#expected !== ':') throw this.#unexpected(text, at);
        this.#expected = 'value';
        return at + 1;
      case LIST:
      case OBJECT:
        if (!this.#takesValue) throw this.#unexpected(text, at);
        this.#begin(text.charCodeAt(at) === LIST ? { list: [] } : { object: {}, name: '', names: 0 });
        return at + 1;
      case LIST_END:
        if (this.#expected !== 'value or ]' && this.#expected !== ', or ]') throw this.#unexpected(text, at);
        this.#close();
        return at + 1;
      case OBJECT_END:
        if (this.#expected !== 'name or }' && this.#expected !== ', or }') throw this.#unexpected(text, at);
        this.#close();
        return at + 1;
      default:
        if (!this.#takesValue) throw this.#unexpected(text, at);
        return this.#word(text, at);
    }
  }

  /** Behind the string that goes on at `start`, or behind the piece. */
  #string(text: string, start: number): number {
    const quote = endOfString(text, start);
    const end = quote < 0 ? text.length - cutChars(text, start) : quote;
    const part = parseJson(`"${text.slice(start, end)}"`) as string;
    const whole = this.#partial === '' ? part : this.#partial + part;
    if (quote < 0) {
      this.#partial = whole;
      this.#cut = text.slice(end);
      return text.length;
    }
    this.#partial = '';
    this.#inside = undefined;
    if (this.#takesValue) {
      this.#put(whole);
    } else {
      const last = this.#open.at(-1);
      if (last !== undefined && 'object' in last) this.#name(last, whole);
      this.#expected = ':';
    }
    return quote + 1;
  }

  #word(text: string, start: number): number {
    WORD.lastIndex = start;
    WORD.test(text);
    const end = WORD.lastIndex;
    this.#partial += text.slice(start, end);
    if (this.#partial === '') throw this.#unexpected(text, start);
    if (this.#partial.length > LIMITS.httpJsonNumberCharsMax) {
      throw excessive(`a number in it has more than ${LIMITS.httpJsonNumberCharsMax} characters`);
    }
    if (end < text.length) this.#wordEnds();
    else this.#inside = 'word';
    return end;
  }

  #wordEnds(): void {
    const word = this.#partial;
    this.#partial = '';
    this.#inside = undefined;
    this.#put(parseJson(word));
  }

  get #takesValue(): boolean {
    return this.#expected.startsWith('value');
  }

  #begin(open: Open): void {
    this.#count();
    this.#open.push(open);
    if (this.#open.length > LIMITS.httpJsonDepthMax) {
      throw excessive(`lists and objects in it lie deeper than ${LIMITS.httpJsonDepthMax} in each other`);
    }
    this.#expected = 'list' in open ? 'value or ]' : 'name or }';
  }

  #close(): void {
    const last = this.#open.pop()!;
    this.#put('list' in last ? last.list : last.object);
  }

  #put(value: unknown): void {
    const last = this.#open.at(-1);
    if (last === undefined) {
      this.#result = value;
      this.#expected = 'nothing more';
    } else if ('list' in last) {
      last.list.push(value);
      this.#expected = ', or ]';
    } else {
      set(last.object, last.name, value);
      this.#expected = ', or }';
    }
  }

  #name(open: OpenObject, name: string): void {
    open.name = name;
    open.names += 1;
    if (open.names > LIMITS.httpJsonNamesMax) {
      throw excessive(`an object in it has more than ${LIMITS.httpJsonNamesMax} fields`);
    }
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > LIMITS.httpJsonValuesMax) {
      throw excessive(`it has more than ${LIMITS.httpJsonValuesMax} values`);
    }
  }

  #unexpected(text: string, at: number): HttpError {
    const found = printable(String.fromCodePoint(text.codePointAt(at)!));
    return invalid(`${found} at character ${this.#before + at + 1}, where ${this.#expected} is expected`);
  }
}

/** As JSON.parse: a field, whatever its name. */
function set(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Of the quote that ends the string that goes on at `start`; -1 where none does. */
function endOfString(text: string, start: number): number {
  for (let from = start; ; ) {
    const quote = text.indexOf('"', from);
    if (quote < 0 || backslashesBefore(text, quote, from) % 2 === 0) return quote;
    from = quote + 1;
  }
}

/** How many characters at the end of the piece, whose string goes on, wait for the rest of their escape. */
function cutChars(text: string, start: number): number {
  const from = Math.max(start, text.length - ESCAPE_CHARS);
  const found = CUT_ESCAPE.exec(text.slice(from));
  if (found === null) return 0;
  const isEscaped = backslashesBefore(text, from + found.index, start) % 2 === 1;
  return isEscaped ? 0 : found[0].length;
}

function backslashesBefore(text: string, end: number, from: number): number {
  let count = 0;
  while (end - count > from && text.charCodeAt(end - 1 - count) === BACKSLASH) count += 1;
  return count;
}

/** A whole text that is small. Throws `http-invalid`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function invalid(reason: string): HttpError {
  return new HttpError('http-invalid', `the body is not valid JSON: ${printable(reason)}`);
}

function excessive(reason: string): HttpError {
  return new HttpError('http-invalid', `the body is not read: ${reason}`);
}
