/**
 * How the text of one option or variable becomes a value, and the words for what cannot be used. zod schemas; `config.ts`
 * puts the name of the option in front of their messages.
 */
import { isIP } from 'node:net';
import * as z from 'zod';
import { closest, LIMITS, printable } from '../../shared/index.js';
import { nodeIdFault } from '../home/index.js';
import { parseLayerRanges } from './layer-ranges.js';

/** A schema that reads text with `read`; what it throws is the message. */
export function text<T>(read: (value: string) => T) {
  return z.string({ error: 'needs a value' }).transform((value, context): T => {
    try {
      return read(value.trim());
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

const quoted = (value: string) => `"${printable(value, LIMITS.quotedCharsMax)}"`;

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

/** Layers of nodes, as `ID=0-11,ID=12-23`. */
export const layerRanges = () => text(parseLayerRanges);

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
