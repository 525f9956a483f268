/**
 * The record beside a file that is being fetched: which ranges of it were written, each with a digest of its bytes, so that a
 * record is believed only where the bytes are what it says. Lines are only appended. Pure text; `download-partial.ts` keeps it.
 *
 *   exo-partial 1 <size> <identity>      the file that it will be; the identity is the hash that the hub states
 *   open <from> <to> <boot>              from here on bytes are written one behind the other, at most to there
 *   done <from> <to> <digest>            these bytes are written
 */
import { createHash } from 'node:crypto';
import type { ByteRange } from './ranges.js';

const MAGIC = 'exo-partial 1';
/** Of SHA-256; it finds damage by accident, the hash of the whole file finds the rest. */
const DIGEST_CHARS = 16;
/** A range that a `done` line tells of: what is lost by kill -9 is found again, what is lost with the power is this much. */
export const SEGMENT_BYTES = 4 * 1024 * 1024;

/** What the file will be. */
export interface PartialHead {
  readonly size: number;
  readonly identity: string;
}

/** Bytes that were begun to be written in order. */
export interface OpenEntry {
  readonly range: ByteRange;
  readonly boot: string;
}

/** Bytes that were written. */
export interface DoneEntry {
  readonly range: ByteRange;
  readonly digest: string;
}

/** A record as it was read. */
export interface Journal {
  readonly head: PartialHead;
  readonly opens: readonly OpenEntry[];
  readonly dones: readonly DoneEntry[];
}

export function printHead({ size, identity }: PartialHead): string {
  return `${MAGIC} ${size} ${identity}\n`;
}

export function printOpen({ range, boot }: OpenEntry): string {
  return `open ${range[0]} ${range[1]} ${encodeURIComponent(boot)}\n`;
}

export function printDone({ range, digest }: DoneEntry): string {
  return `done ${range[0]} ${range[1]} ${digest}\n`;
}

/** Reads a record; undefined where it is none. Lines that cannot be read are left out: their bytes are fetched again. */
export function parseJournal(text: string): Journal | undefined {
  const [first = '', ...lines] = text.split('\n');
  const head = new RegExp(`^${MAGIC} (\\d{1,15}) (\\S+)$`).exec(first);
  if (head === null) return undefined;
  const size = Number(head[1]);
  const opens: OpenEntry[] = [];
  const dones: DoneEntry[] = [];
  for (const line of lines) {
    const entry = /^(open|done) (\d{1,15}) (\d{1,15}) (\S*)$/.exec(line);
    if (entry === null) continue;
    const range: ByteRange = [Number(entry[2]), Number(entry[3])];
    if (range[0] >= range[1] || range[1] > size) continue;
    const last = entry[4]!;
    if (entry[1] === 'done') dones.push({ range, digest: last });
    else opens.push({ range, boot: decoded(last) });
  }
  return { head: { size, identity: head[2]! }, opens, dones };
}

/** A digest that grows with what is written. */
export class SegmentDigest {
  readonly #hash = createHash('sha256');

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Once. */
  end(): string {
    return this.#hash.digest('hex').slice(0, DIGEST_CHARS);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
