/**
 * How the text of one option or variable becomes a value, and the words for what cannot be used. zod schemas; `config.ts`
 * puts the name of the option in front of their messages.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { LIMITS, printable } from '../shared/index.js';

/** Longest text quoted in a message. */
const QUOTED_CHARS_MAX = 60;

/** A schema that reads text with `read`; what it throws is the message. */
function text<T>(read: (value: string) => T) {
  return z.string({ error: 'needs a value' }).transform((value, context): T => {
    try {
      return read(value.trim());
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

const quoted = (value: string) => `"${printable(value, QUOTED_CHARS_MAX)}"`;

/** A whole number in [min, max]. */
export const wholeNumber = (min: number, max: number) =>
  text((value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new Error(`${quoted(value)} is not a whole number from ${min} to ${max}`);
  });

/** A decimal number in [min, max]. */
export const decimalNumber = (min: number, max: number) =>
  text((value) => {
    const number = /^\d{0,15}(\.\d{1,15})?$/.test(value) && value !== '' ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new Error(`${quoted(value)} is not a number from ${min} to ${max}`);
  });

/** Seconds as people write them, more than 0 and at most `max`; the value is milliseconds. */
export const seconds = (max: number) =>
  text((value) => {
    const number = /^\d{0,9}(\.\d{1,9})?$/.test(value) && value !== '' ? Number(value) : Number.NaN;
    if (number > 0 && number <= max) return number * 1000;
    throw new Error(`${quoted(value)} is not a number of seconds above 0 and up to ${max}`);
  });

/** A port to dial. */
export const dialPort = () => wholeNumber(1, 65535);
/** A port to listen on; 0 takes any free one. */
export const listenPort = () => wholeNumber(0, 65535);

/** A host name or an IP, without a port. */
export const host = () =>
  text((value) => {
    const bare = /^\[(.+)\]$/.exec(value)?.[1] ?? value;
    if (isIP(bare.split('%', 1)[0] ?? '') !== 0) return bare;
    if (/^[a-z0-9_]([a-z0-9._-]{0,252})$/i.test(bare) && !/^[\d.]+$/.test(bare)) return bare;
    const port = /^[^:]+:(\d+)$/.exec(bare)?.[1];
    throw new Error(
      port === undefined
        ? `${quoted(value)} is neither a host name nor an IP address`
        : `${quoted(value)} has a port in it; give the host alone, the port has an option of its own`,
    );
  });

/** Any text that is not empty. */
export const someText = () =>
  text((value) => {
    if (value !== '') return value;
    throw new Error('must not be empty');
  });

/** Text exactly as given. */
export const rawText = () => z.string({ error: 'needs a value' });

/** An http or https URL. */
export const httpUrl = () =>
  text((value) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url?.protocol === 'http:' || url?.protocol === 'https:') return value;
    throw new Error(`${quoted(value)} is not an http or https URL`);
  });

/** Why a node id cannot be used; undefined when it can. It names a file and stands in URLs, logs and tables. */
export function nodeIdFault(id: string): string | undefined {
  if (id === '') return 'must not be empty';
  if (id.length > LIMITS.nodeIdCharsMax) {
    return `has ${id.length} characters; at most ${LIMITS.nodeIdCharsMax} are allowed`;
  }
  if (printable(id, id.length) !== id) return `${quoted(id)} has characters that cannot be printed`;
  if (/[\\/,]/.test(id)) return `${quoted(id)} has a slash, backslash or comma in it`;
  if (/^\.+$/.test(id) || id.trim() !== id) return `${quoted(id)} is not a name`;
  return undefined;
}

/** A node id. */
export const nodeId = () =>
  z.string({ error: 'needs a value' }).superRefine((value, context) => {
    const fault = nodeIdFault(value);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  });

/** Things separated by commas, at least one, each checked; doubles are dropped. */
export function commaList<T extends string>(read: (item: string) => T) {
  return text((value) => {
    const items = value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
    if (items.length === 0) throw new Error('must name at least one');
    return [...new Set(items.map(read))] as readonly T[];
  });
}

/** Picks a word of a list, in any case of letters, or throws a sentence with the nearest one. */
export function oneOf<T extends string>(words: readonly T[], what: string): (item: string) => T {
  return (item) => {
    const found = words.find((word) => word.toLowerCase() === item.toLowerCase());
    if (found !== undefined) return found;
    const near = closest(item, words);
    const meant = near === undefined ? '' : `did you mean ${near}? `;
    throw new Error(`${quoted(item)} is not ${what}; ${meant}choose from ${words.join(', ')}`);
  };
}

/** The word nearest to a mistyped one, if any is near: a third of its letters may be wrong. */
export function closest<T extends string>(typed: string, words: readonly T[]): T | undefined {
  let best: T | undefined;
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1;
  for (const word of words) {
    const distance = editDistance(typed.toLowerCase().slice(0, 64), word.toLowerCase());
    if (distance < bestDistance) {
      best = word;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance with swaps of neighbours counted as one (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        value = Math.min(value, before[j - 2]! + 1);
      }
      row.push(value);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
