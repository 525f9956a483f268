/** Text that came from outside, made safe for a terminal or a log; and what an id may look like. */
import { LIMITS } from './limits.js';

/** C0, C1, line separators and bidi marks, as the inside of a character class. */
const UNPRINTABLE = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const UNPRINTABLE_CHARS = new RegExp(`[${UNPRINTABLE}]`, 'g');
// Without `g` it keeps no position, and `test` makes no copy: a topology update has thousands of ids.
const UNPRINTABLE_CHAR = new RegExp(`[${UNPRINTABLE}]`);

/** For JSON schemas: a text that is not empty and that `printable` leaves as it is, but for its length. */
export const PRINTABLE_PATTERN = `^[^${UNPRINTABLE}]+$`;

/** Escapes control characters (also C1 and bidi overrides) and cuts at `charsMax`: no longer result, and again it stays as it is. */
export function printable(text: string, charsMax = 200): string {
  const isLong = text.length > charsMax;
  const escaped = (isLong ? text.slice(0, charsMax) : text).replace(
    UNPRINTABLE_CHARS,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return isLong || escaped.length > charsMax ? `${escaped.slice(0, charsMax - 1)}…` : escaped;
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
