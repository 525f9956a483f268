/**
 * A file that is being fetched: `<name>.partial`, of its full length with holes, and `<name>.partial.ranges`, the record of what
 * is there. It gets its name only when it is whole and its hash is right. Bytes on disk are the only truth: when it is opened,
 * every range of the record is read and held against its digest, and what a killed process had written behind its last record is
 * found by looking. The caller holds the lock of the file. Used by `download-file.ts`.
 */
import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import type { Clock } from '../../shared/index.js';
import { bootId } from '../disk/lock-process.js';
import { writeFailure } from './failure.js';
import {
  type Journal,
  type PartialHead,
  parseJournal,
  printDone,
  printHead,
  printOpen,
  SEGMENT_BYTES,
  SegmentDigest,
} from './journal.js';
import { type ByteRange, covers, normalized, without } from './ranges.js';

/** Endings of the two files. */
export const PARTIAL_SUFFIX = '.partial';
export const RANGES_SUFFIX = '.partial.ranges';

const READ_BYTES = 1024 * 1024;
/** One piece from the network may have been written before the record of its segment. */
const TAIL_BYTES = SEGMENT_BYTES + 1024 * 1024;

/** How a partial file is opened. */
export interface PartialOptions extends PartialHead {
  /** Believe the record without reading the bytes. */
  readonly quick: boolean;
}

/** One file with holes. */
export class PartialFile {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #journal: FileHandle;
  readonly #head: PartialHead;
  readonly #boot: string;
  #present: ByteRange[] = [];

  private constructor(
    file: string,
    handle: FileHandle,
    journal: FileHandle,
    head: PartialHead,
    boot: string,
  ) {
    this.#file = file;
    this.#handle = handle;
    this.#journal = journal;
    this.#head = head;
    this.#boot = boot;
  }

  /**
   * Opens what is there of `file`, or begins it; what is there of another version of it is thrown away. Throws `disk-full` or
   * `state-unwritable`, and rejects with the signal's reason.
   */
  static async open(
    file: string,
    options: PartialOptions,
    clock: Clock,
    signal: AbortSignal,
  ): Promise<PartialFile> {
    const head: PartialHead = { size: options.size, identity: options.identity };
    const journal = await readJournal(file, head);
    try {
      if (journal === undefined) await begin(file, head);
      const handle = await open(`${file}${PARTIAL_SUFFIX}`, 'r+');
      const record = await open(`${file}${RANGES_SUFFIX}`, 'a');
      const partial = new PartialFile(file, handle, record, head, bootId(clock));
      try {
        // Behind a line that was cut off by a full disk.
        await partial.#append('\n');
        if (journal !== undefined) await partial.#load(journal, options.quick, signal);
      } catch (error) {
        await partial.close();
        throw error;
      }
      return partial;
    } catch (error) {
      throw signal.aborted ? error : writeFailure(`${file}${PARTIAL_SUFFIX}`, error);
    }
  }

  /** What is there, normalized. */
  get present(): readonly ByteRange[] {
    return this.#present;
  }

  /** Begins to write bytes one behind the other. */
  async writer([from, to]: ByteRange): Promise<RangeWriter> {
    await this.#append(printOpen({ range: [from, to], boot: this.#boot }));
    return new RangeWriter(from, {
      write: (bytes, at) => this.#write(bytes, at),
      done: (range, digest) => this.#append(printDone({ range, digest })),
    });
  }

  /** Bytes that are there. */
  async read([from, to]: ByteRange): Promise<Buffer> {
    const bytes = Buffer.alloc(to - from);
    await readFully(this.#handle, bytes, from);
    return bytes;
  }

  /** Forgets everything that was fetched. */
  async discard(): Promise<void> {
    try {
      // The record first: it must never tell of bytes that are gone.
      this.#present = [];
      await this.#journal.truncate(0);
      await this.#append(printHead(this.#head));
      await this.#handle.truncate(0);
      await this.#handle.truncate(this.#head.size);
    } catch (error) {
      throw writeFailure(`${this.#file}${PARTIAL_SUFFIX}`, error);
    }
  }

  /** Gives the whole file its name. The caller has checked its hash. */
  async finish(): Promise<void> {
    try {
      // Its name must not survive a loss of power that its bytes do not survive.
      await this.#handle.datasync();
      await this.close();
      await rename(`${this.#file}${PARTIAL_SUFFIX}`, this.#file);
      await rm(`${this.#file}${RANGES_SUFFIX}`, { force: true });
    } catch (error) {
      throw writeFailure(this.#file, error);
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#handle.close();
    await this.#journal.close();
  }

  async #write(bytes: Uint8Array, at: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, at + done);
        this.#present = normalized([...this.#present, [at + done, at + done + bytesWritten]]);
        done += bytesWritten;
      }
    } catch (error) {
      throw writeFailure(`${this.#file}${PARTIAL_SUFFIX}`, error);
    }
  }

  async #append(text: string): Promise<void> {
    try {
      await this.#journal.appendFile(text);
    } catch (error) {
      throw writeFailure(`${this.#file}${RANGES_SUFFIX}`, error);
    }
  }

  async #load({ dones, opens }: Journal, quick: boolean, signal: AbortSignal): Promise<void> {
    const good: ByteRange[] = [];
    for (const { range, digest } of dones) {
      signal.throwIfAborted();
      if (quick || (await this.#digest(range)) === digest) good.push(range);
    }
    this.#present = normalized(good);
    // A range of the record whose bytes are not what it says is damaged: nothing in it is found again.
    const told = normalized(dones.map(({ range }) => range));
    for (const { range, boot } of opens) {
      signal.throwIfAborted();
      await this.#findTail(range, told, boot === this.#boot);
    }
  }

  /**
   * What was written behind the last record of a stream: bytes that are not zero were written, and those before them. What another
   * run of the machine wrote may have holes where the power was lost: it is wiped, so that it is never found again.
   */
  async #findTail([from, to]: ByteRange, told: readonly ByteRange[], isTrusted: boolean): Promise<void> {
    const at = without([[from, to]], told)[0]?.[0];
    if (at === undefined || covers(this.#present, [at, at + 1])) return;
    // Only behind what this stream had written without a gap.
    if (at > from && !told.some(([, end]) => end === at)) return;
    const limit = without(
      [[at, Math.min(to, at + TAIL_BYTES)]],
      normalized([...told, ...this.#present]),
    )[0]![1];
    const bytes = await this.read([at, limit]);
    let length = bytes.length;
    while (length > 0 && bytes[length - 1] === 0) length -= 1;
    if (length === 0) return;
    if (!isTrusted) {
      await this.#handle.write(bytes.fill(0), 0, length, at);
      return;
    }
    const found: ByteRange = [at, at + length];
    const digest = new SegmentDigest();
    digest.update(bytes.subarray(0, length));
    await this.#append(printDone({ range: found, digest: digest.end() }));
    this.#present = normalized([...this.#present, found]);
  }

  async #digest([from, to]: ByteRange): Promise<string> {
    const digest = new SegmentDigest();
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, to - from));
    for (let at = from; at < to; ) {
      const piece = buffer.subarray(0, Math.min(buffer.length, to - at));
      await readFully(this.#handle, piece, at);
      digest.update(piece);
      at += piece.length;
    }
    return digest.end();
  }
}

/** Writes bytes one behind the other and keeps the record of them. */
export class RangeWriter {
  readonly #sink: {
    write(bytes: Uint8Array, at: number): Promise<void>;
    done(range: ByteRange, digest: string): Promise<void>;
  };
  #segmentFrom: number;
  #at: number;
  #digest = new SegmentDigest();

  constructor(
    from: number,
    sink: {
      write(bytes: Uint8Array, at: number): Promise<void>;
      done(range: ByteRange, digest: string): Promise<void>;
    },
  ) {
    this.#segmentFrom = from;
    this.#at = from;
    this.#sink = sink;
  }

  /** Where the next byte goes. */
  get at(): number {
    return this.#at;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#sink.write(bytes, this.#at);
    this.#digest.update(bytes);
    this.#at += bytes.length;
    if (this.#at - this.#segmentFrom >= SEGMENT_BYTES) await this.#mark();
  }

  /** Records what was written since the last record. */
  async close(): Promise<void> {
    if (this.#at > this.#segmentFrom) await this.#mark();
  }

  async #mark(): Promise<void> {
    const range: ByteRange = [this.#segmentFrom, this.#at];
    const digest = this.#digest.end();
    this.#segmentFrom = this.#at;
    this.#digest = new SegmentDigest();
    await this.#sink.done(range, digest);
  }
}

/** What the record of a file says is there, without a look at the bytes; nothing where there is no record of that length. */
export async function recordedRanges(
  file: string,
): Promise<{ readonly head: PartialHead; readonly ranges: readonly ByteRange[] } | undefined> {
  try {
    const journal = parseJournal(await readFile(`${file}${RANGES_SUFFIX}`, 'utf8'));
    const { size } = await stat(`${file}${PARTIAL_SUFFIX}`);
    if (journal === undefined || size !== journal.head.size) return undefined;
    return { head: journal.head, ranges: normalized(journal.dones.map(({ range }) => range)) };
  } catch {
    return undefined;
  }
}

async function readJournal(file: string, head: PartialHead): Promise<Journal | undefined> {
  try {
    const journal = parseJournal(await readFile(`${file}${RANGES_SUFFIX}`, 'utf8'));
    const { size } = await stat(`${file}${PARTIAL_SUFFIX}`);
    const isSame =
      journal !== undefined &&
      size === head.size &&
      journal.head.size === head.size &&
      journal.head.identity === head.identity;
    return isSame ? journal : undefined;
  } catch {
    return undefined;
  }
}

async function begin(file: string, head: PartialHead): Promise<void> {
  // First the old record goes: it must never be beside other bytes than its own.
  await rm(`${file}${RANGES_SUFFIX}`, { force: true });
  const handle = await open(`${file}${PARTIAL_SUFFIX}`, 'w', 0o644);
  try {
    await handle.truncate(head.size);
  } finally {
    await handle.close();
  }
  const record = await open(`${file}${RANGES_SUFFIX}`, 'w', 0o644);
  try {
    await record.appendFile(printHead(head));
  } finally {
    await record.close();
  }
}

async function readFully(handle: FileHandle, bytes: Buffer, from: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, from + done);
    if (bytesRead === 0) throw new Error('the file is shorter than it was');
    done += bytesRead;
  }
}
