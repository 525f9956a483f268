/** Reads what is kept of a model and holds it against what is known of it: hashes of files, digests of ranges. Changes nothing. */
import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { hashFile } from '../download/hash.js';
import { parseJournal, SegmentDigest } from '../download/journal.js';
import { PARTIAL_SUFFIX, RANGES_SUFFIX } from '../download/partial.js';
import { normalized, sum } from '../download/ranges.js';
import type { ModelFile } from '../hub/answer.js';

/** What a file turned out to be. */
export interface VerifiedFile {
  readonly path: string;
  /** `partial`: the ranges that are there are right, the hash of the whole cannot be checked. `unknown`: no hash is known. */
  readonly state: 'right' | 'damaged' | 'partial' | 'unknown';
  /** That were read and compared. */
  readonly bytes: number;
  /** On disk: of a file in part, what is told to be there. */
  readonly size: number;
  /** What was not compared, or what is wrong before anything is; in words. */
  readonly why?: string;
}

const READ_BYTES = 1024 * 1024;

/** A file under its name. */
export async function verifyFile(
  directory: string,
  name: string,
  known: ModelFile | undefined,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<VerifiedFile> {
  const file = path.join(directory, name);
  const { size } = await stat(file);
  const found = { path: name, size };
  if (known === undefined)
    return { ...found, state: 'unknown', bytes: 0, why: 'no hash of it is known here' };
  if (size !== known.size) {
    return {
      ...found,
      state: 'damaged',
      bytes: 0,
      why: `it should have ${known.size} bytes and has ${size}`,
    };
  }
  const isRight = (await hashFile(file, known.hash.kind, signal, onBytes)) === known.hash.hex;
  return { ...found, state: isRight ? 'right' : 'damaged', bytes: size };
}

/** A file that is there in part; undefined where it is not. */
export async function verifyPartial(
  directory: string,
  name: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<VerifiedFile | undefined> {
  const file = path.join(directory, name);
  const text = await readFile(`${file}${RANGES_SUFFIX}`, 'utf8').catch(() => '');
  const journal = parseJournal(text);
  const handle =
    journal === undefined ? undefined : await open(`${file}${PARTIAL_SUFFIX}`, 'r').catch(() => undefined);
  if (journal === undefined || handle === undefined) return undefined;
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const right: Array<readonly [number, number]> = [];
    for (const { range, digest } of journal.dones) {
      const [from, to] = range;
      const found = new SegmentDigest();
      for (let at = from; at < to; ) {
        signal.throwIfAborted();
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, to - at), at);
        if (bytesRead === 0) break;
        found.update(buffer.subarray(0, bytesRead));
        onBytes(bytesRead);
        at += bytesRead;
      }
      if (found.end() === digest) right.push(range);
    }
    // A range that was damaged once may have been written again since.
    const told = sum(normalized(journal.dones.map(({ range }) => range)));
    const isRight = sum(normalized(right)) === told;
    const why = 'the hash is of the whole file';
    return isRight
      ? { path: name, state: 'partial', bytes: told, size: told, why }
      : { path: name, state: 'damaged', bytes: told, size: told };
  } finally {
    await handle.close();
  }
}
