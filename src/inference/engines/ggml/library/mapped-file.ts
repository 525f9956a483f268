/**
 * A file in memory: mapped where the system can, so that weights cost no memory of their own and come from the page
 * cache; read on Windows, where ranges are copied anyway. Called by the weights.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import koffi from 'koffi';
import { ExoError } from '../../../../shared/index.js';
import type { Pointer } from './functions.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
/** (void *)-1. */
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
/** One system call takes at most 2 GiB. */
const READ_BYTES_MAX = 1024 * 1024 * 1024;

/** A mapping, until it is closed. */
export interface MappedFile {
  readonly address: Pointer;
  readonly bytes: number;
  /** Nothing may use the address any more. */
  close(): void;
}

/** Maps a whole file for reading. Throws `checkpoint-invalid`. */
export function mapFile(file: string): MappedFile {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    const bytes = fstatSync(fd).size;
    if (bytes === 0) throw new Error('it is empty');
    return process.platform === 'win32' ? readWhole(fd, bytes) : mapWhole(fd, bytes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ExoError('checkpoint-invalid', `${file} cannot be read: ${why}`, { cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Memory of an open file, shared with whoever else has it open; it stays mapped. Throws where the system cannot. */
export function mapShared(fd: number, bytes: number): ArrayBuffer {
  const mmap = koffi.load(null).func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const address = mmap(null, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) as Pointer | null;
  if (address === null || address === MAP_FAILED) throw new Error(`mmap failed (errno ${koffi.errno()})`);
  return koffi.view(address, bytes);
}

function mapWhole(fd: number, bytes: number): MappedFile {
  const libc = koffi.load(null);
  const mmap = libc.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const munmap = libc.func('munmap', 'int', ['void *', 'size_t']);
  const address = mmap(null, bytes, PROT_READ, MAP_PRIVATE, fd, 0) as Pointer | null;
  if (address === null || address === MAP_FAILED) throw new Error(`mmap failed (errno ${koffi.errno()})`);
  return { address, bytes, close: () => void munmap(address, bytes) };
}

function readWhole(fd: number, bytes: number): MappedFile {
  const data = Buffer.allocUnsafeSlow(bytes);
  for (let at = 0; at < bytes; ) {
    const read = readSync(fd, data, at, Math.min(READ_BYTES_MAX, bytes - at), at);
    if (read === 0) throw new Error('it became shorter while it was read');
    at += read;
  }
  let held: Buffer | undefined = data;
  return {
    address: koffi.address(held),
    bytes,
    close() {
      held = undefined;
    },
  };
}
