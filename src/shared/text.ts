/** Text that came from outside, made safe for a terminal or a log; and what an id may look like. */
import { LIMITS } from './limits.js';

/** C0, C1, line separators and bidi marks, as the inside of a character class. */
const UNPRINTABLE = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const UNPRINTABLE_CHARS = new RegExp(`[${UNPRINTABLE}]`, 'g');
// Without `g` it keeps no position, and `test` makes no copy: a topology update has thousands of ids.
const UNPRINTABLE_CHAR = new RegExp(`[${UNPRINTABLE}]`);
/** C0 without tab and line feed, and C1. */
const COMMANDING_CHARS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** For JSON schemas: a text that is not empty and that `printable` leaves as it is, but for its length. */
export const PRINTABLE_PATTERN = `^[^${UNPRINTABLE}]+$`;

/** Escapes control characters (also C1 and bidi overrides) and cuts at `charsMax`: no longer result, and again it stays as it is. */
export function printable(text: string, charsMax = 200): string {
  const isLong = text.length > charsMax;
  const safe = (isLong ? text.slice(0, charsMax) : text).replace(UNPRINTABLE_CHARS, escaped);
  return isLong || safe.length > charsMax ? `${safe.slice(0, charsMax - 1)}…` : safe;
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * Escapes what can command a terminal, and keeps lines, tabs and the marks that right-to-left text needs: for the text of an answer,
 * which is shown as it comes. Pieces may be escaped one by one.
 */
export function printableLines(text: string): string {
  return text.replace(COMMANDING_CHARS, escaped);
}

/** Whether `printable` would escape nothing. */
export function isPrintable(text: string): boolean {
  return !UNPRINTABLE_CHAR.test(text);
}

/** Why a text cannot be the id of any node, one's own or another's; undefined when it can. To be read after "it". */
export function idFault(id: string): string | undefined {
  if (id === '') return 'must not be empty';
  if (id.length > LIMITS.nodeIdCharsMax) {
    return `has ${id.length} characters; at most ${LIMITS.nodeIdCharsMax} are allowed`;
  }
  if (!isPrintable(id)) return `"${printable(id, 60)}" has characters that cannot be printed`;
  return undefined;
}
