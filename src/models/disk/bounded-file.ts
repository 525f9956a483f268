/** Reads the small files of a checkpoint: whole, once, and never more than is allowed. Not for weights. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { ExoError } from '../../shared/index.js';

/** Makes the error of a file that cannot be used. `why` is read after the file's name. */
export type FileFault = (why: string, cause?: unknown) => ExoError;

/** The file's bytes. Throws what `fault` makes (missing, no file, not readable, over `bytesMax`), or the signal's reason. */
export async function readBounded(
  file: string,
  bytesMax: number,
  fault: FileFault,
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted();
  const handle = await openRegular(file, fault);
  try {
    const { size } = await handle.stat();
    if (size > bytesMax) throw fault(`has ${size} bytes; at most ${bytesMax} are read`);
    signal.throwIfAborted();
    return await readAt(handle, 0, size, fault);
  } finally {
    await handle.close();
  }
}

/** As `readBounded`; undefined where there is no such file. */
export async function readBoundedIfThere(
  file: string,
  bytesMax: number,
  fault: FileFault,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return (await isFile(file)) ? await readBounded(file, bytesMax, fault, signal) : undefined;
}

/** Whether something of that name is there, whatever it is. */
export async function isFile(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    // What is there and cannot be looked at is for the one who opens it to complain about.
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}

/**
 * A regular file, open for reading. Looked at before it is opened: opening a named pipe waits for a writer, and nothing
 * can call that back. Throws what `fault` makes.
 */
export async function openRegular(file: string, fault: FileFault): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    refuseOther(await stat(file), fault);
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    // Again on what is open: the name may have got another meaning in between.
    refuseOther(await handle.stat(), fault);
    return handle;
  } catch (error) {
    await handle?.close();
    if (error instanceof ExoError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw fault('is not there', error);
    if (code === 'EACCES' || code === 'EPERM') throw fault('may not be read by this user', error);
    throw fault(`cannot be read (${message})`, error);
  }
}

/** `length` bytes from `offset`. Throws what `fault` makes when the file ends before. */
export async function readAt(
  handle: FileHandle,
  offset: number,
  length: number,
  fault: FileFault,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await handle.read(buffer, done, length - done, offset + done));
    } catch (error) {
      throw fault(`cannot be read (${(error as Error).message})`, error);
    }
    if (bytesRead === 0) throw fault(`ends after ${offset + done} bytes, within what is being read`);
    done += bytesRead;
  }
  return buffer;
}

function refuseOther(stats: Stats, fault: FileFault): void {
  if (!stats.isFile()) throw fault(stats.isDirectory() ? 'is a folder, not a file' : 'is not a regular file');
}
