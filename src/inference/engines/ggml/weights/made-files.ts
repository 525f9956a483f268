/**
 * Matrices that were made once (quantised, unpacked) are kept in files, a file for each layer, so that the next start maps them
 * instead of making them again. A file is named by everything that its bytes depend on: the source files as they are now, types
 * and library. It is written under another name first, and held against its hash and against rows that are made anew when it
 * is opened: what does not fit is made again. Whatever goes wrong here costs time only. Called by `shard-weights.ts`.
 *
 *     head (JSON, spaces behind it, 4096 bytes) | bytes of each matrix, each at a multiple of 64
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { LIMITS } from '../../../../shared/index.js';
import type { Ggml } from '../library/index.js';
import { makeRoom, removeLeftovers, touch } from './made-room.js';
import { chunksOf, type Matrix } from './matrix.js';
import type { Scratch } from './scratch.js';
import { readRows, type StoredTensor } from './stored-tensor.js';

/** Bounds of the files. */
export interface MadeFilesOptions {
  readonly directory: string;
  /** Of all files together; what was not used for the longest time makes room. */
  readonly bytesMax: number;
}

/** Changes with the layout of these files. */
const FORMAT = 1;
const HEAD_BYTES = 4096;
const ALIGNMENT = 64;
/** Read at once when the hash is made. */
const READ_BYTES = 4 * 1024 * 1024;

/** Weights that were made and could not be kept. */
export interface UnkeptWeights {
  readonly directory: string;
  readonly bytes: number;
  /** Of the last of them. */
  readonly why: string;
}

/** The files. */
export class MadeFiles {
  readonly #options: MadeFilesOptions;
  #isSwept = false;
  /** Of the files written under another name first. */
  #serial = 0;
  /** By this process; they are not removed. */
  readonly #inUse = new Set<string>();
  #unkept: UnkeptWeights | undefined;

  constructor(options: MadeFilesOptions) {
    this.#options = options;
  }

  /** Where these matrices lie, made now if they were not; undefined where they cannot be kept. Throws `checkpoint-invalid`. */
  place(ggml: Ggml, matrices: readonly Matrix[], scratch: Scratch): readonly StoredTensor[] | undefined {
    const key = keyOf(ggml, matrices);
    if (key === undefined) return undefined;
    const file = path.join(this.#options.directory, `${key.slice(0, 40)}.weights`);
    const { places, end } = layoutOf(file, ggml, matrices);
    if (isGood(file, key, end, places, scratch) && isMadeOf(matrices, places, ggml)) {
      touch(file);
    } else if (!this.#make(key, places, end, ggml, matrices, scratch)) return undefined;
    this.#inUse.add(file);
    return places;
  }

  /** What could not be kept since the last call; undefined where nothing was. */
  takeUnkept(): UnkeptWeights | undefined {
    const unkept = this.#unkept;
    this.#unkept = undefined;
    return unkept;
  }

  #notKept(bytes: number, why: string): false {
    const { directory } = this.#options;
    this.#unkept = { directory, bytes: bytes + (this.#unkept?.bytes ?? 0), why };
    return false;
  }

  #make(
    key: string,
    places: readonly StoredTensor[],
    end: number,
    ggml: Ggml,
    matrices: readonly Matrix[],
    scratch: Scratch,
  ): boolean {
    const { directory, bytesMax } = this.#options;
    const { file } = places[0]!;
    this.#serial += 1;
    const part = `${file}.${process.pid}-${this.#serial}.part`;
    let fd: number | undefined;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      if (!this.#isSwept) removeLeftovers(directory);
      this.#isSwept = true;
      if (!makeRoom(directory, bytesMax, end, this.#inUse)) {
        return this.#notKept(end, lackOf(directory, bytesMax));
      }
      fd = openSync(part, 'wx', 0o600);
      const hash = createHash('sha256');
      for (const [at, matrix] of matrices.entries()) {
        let { offset } = places[at]!;
        for (const bytes of chunksOf(matrix, ggml, scratch)) {
          writeAll(fd, bytes, offset);
          hash.update(bytes);
          offset += bytes.length;
        }
      }
      const head = JSON.stringify({ key, hash: hash.digest('hex') });
      writeAll(fd, Buffer.from(head.padEnd(HEAD_BYTES)), 0);
      fsyncSync(fd);
      renameSync(part, file);
      return true;
    } catch (error) {
      if (fd !== undefined) rmSync(part, { force: true });
      // The sources are the caller's matter; no room and no right to write are nobody's.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'checkpoint-invalid') throw error;
      return this.#notKept(end, `it cannot be written to (${code ?? message})`);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}

/** Why there is no room. */
function lackOf(directory: string, bytesMax: number): string {
  const { bavail, bsize } = statfsSync(directory);
  const gb = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  return `${gb(bavail * bsize)} are free on its disk, of which ${gb(LIMITS.diskSpareBytes)} are left to others, and at most ${gb(bytesMax)} are kept`;
}

/** Everything that the bytes depend on; undefined where a source cannot be looked at. */
function keyOf(ggml: Ggml, matrices: readonly Matrix[]): string | undefined {
  const files = new Map<string, readonly unknown[]>();
  const identity = (file: string) => {
    const known = files.get(file);
    if (known !== undefined) return known;
    const { size, mtimeNs, ctimeNs, ino, dev } = statSync(file, { bigint: true });
    const seen = [realpathSync(file), ...[size, mtimeNs, ctimeNs, ino, dev].map(String)];
    files.set(file, seen);
    return seen;
  };
  try {
    const parts = matrices.map(({ type, rows, columns, sources }) => [
      type,
      rows,
      columns,
      sources.map((source) => [
        ...[source.type, source.offset, source.rows, source.columns],
        ...identity(source.file),
      ]),
    ]);
    const all = JSON.stringify([FORMAT, ggml.ggml_version(), parts]);
    return createHash('sha256').update(all).digest('hex');
  } catch {
    return undefined;
  }
}

function layoutOf(file: string, ggml: Ggml, matrices: readonly Matrix[]) {
  let end = HEAD_BYTES;
  const places = matrices.map(({ type, rows, columns, sources }): StoredTensor => {
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    const rowBytes = ggml.ggml_row_size(type, columns);
    end = offset + rows * rowBytes;
    return { name: sources[0]!.name, file, offset, type: 'U8', rows, columns, rowBytes };
  });
  return { places, end };
}

/** Whether the file is there, whole, and what was written. */
function isGood(
  file: string,
  key: string,
  end: number,
  places: readonly StoredTensor[],
  scratch: Scratch,
): boolean {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    const head = scratch.take('check', HEAD_BYTES);
    readAll(fd, head, 0);
    const known = JSON.parse(Buffer.from(head).toString('utf8')) as { key?: unknown; hash?: unknown };
    if (known.key !== key || statSync(file).size !== end) return false;
    const hash = createHash('sha256');
    for (const { offset, rows, rowBytes } of places) {
      const to = offset + rows * rowBytes;
      for (let at = offset; at < to; at += READ_BYTES) {
        const bytes = scratch.take('check', Math.min(READ_BYTES, to - at));
        readAll(fd, bytes, at);
        hash.update(bytes);
      }
    }
    return hash.digest('hex') === known.hash;
  } catch {
    return false;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Whether first and last row of each matrix are what the sources give now. Throws `checkpoint-invalid`. */
function isMadeOf(matrices: readonly Matrix[], places: readonly StoredTensor[], ggml: Ggml): boolean {
  return matrices.every((matrix, at) =>
    [0, matrix.rows - 1].every((row) =>
      Buffer.from(matrix.read(ggml, row, row + 1)).equals(readRows(places[at]!, row, row + 1)),
    ),
  );
}

function readAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(fd, bytes, at, bytes.length - at, position + at);
    if (count === 0) throw new Error('the file is too short');
    at += count;
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}
