/**
 * Files with secrets in them: read only where nobody else can, written whole or not at all, for the owner alone (0600). What is in
 * them is the business of the callers: `node-key.ts`, `kept-state.ts`, `auth-token.ts`.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { ExoError } from '../shared/index.js';

/** Bits of a mode by which the group or others may read or write. */
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;

/** How a file is judged. */
export interface PrivateFileOptions {
  readonly bytesMax: number;
  /** It may be root's: an operator put it in place. @default false */
  readonly mayBeRoots?: boolean;
  /** It is no secret: others may read it. @default false */
  readonly isPublic?: boolean;
}

/** The text of a file, undefined where there is none. Throws `trust-file-invalid`. Never shows what is in it. */
export function readPrivateFile(file: string, options: PrivateFileOptions): string | undefined {
  let descriptor: number;
  try {
    // Without O_NONBLOCK a pipe in the place of the file would hold the program up.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw unusable(file, `cannot be read (${message}); correct its permissions`, error);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw unusable(file, 'is not a file; move it away');
    if (stats.size > options.bytesMax) {
      throw unusable(
        file,
        `has ${stats.size} bytes, more than the ${options.bytesMax} that such a file can have; move it away`,
      );
    }
    checkOwner(file, stats, options.mayBeRoots ?? false);
    if (hasOwners() && options.isPublic !== true && (stats.mode & OTHERS) !== 0) {
      throw unusable(file, `may be read or written by others; run: chmod 600 ${file}`);
    }
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** Replaces the file in one step. Throws `state-unwritable`. */
export function writePrivateFile(file: string, text: string): void {
  try {
    writeFileAtomic.sync(file, text, { mode: 0o600 });
  } catch (error) {
    throw unwritable(file, error);
  }
}

/**
 * Makes the folder and the one above it where they are missing (0700). Throws `state-unwritable`, and `trust-file-invalid` where
 * others could exchange what is in it.
 */
export function ensurePrivateFolder(folder: string): void {
  for (const each of [path.dirname(folder), folder]) {
    try {
      mkdirSync(each, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(each, error);
    }
  }
  const stats = statSync(folder);
  if (!stats.isDirectory()) throw unusable(folder, 'is not a folder; move it away');
  checkOwner(folder, stats, false);
  if (hasOwners() && (stats.mode & OTHERS_WRITE) !== 0) {
    throw unusable(folder, `may be written by others; run: chmod 700 ${folder}`);
  }
}

/** `trust-file-invalid` about a file; `fault` is read after its name and says what to do. */
export function unusable(file: string, fault: string, cause?: unknown): ExoError {
  return new ExoError('trust-file-invalid', `${file} ${fault}`, { cause });
}

/** `state-unwritable` about a file. */
export function unwritable(file: string, cause: unknown): ExoError {
  return new ExoError(
    'state-unwritable',
    `cannot write ${file} (${cause instanceof Error ? cause.message : String(cause)}); set EXO_HOME to a folder that you may write to`,
    { cause },
  );
}

function checkOwner(file: string, stats: Stats, mayBeRoots: boolean): void {
  if (!hasOwners() || stats.uid === process.getuid!() || (mayBeRoots && stats.uid === 0)) return;
  throw unusable(
    file,
    `belongs to another user (uid ${stats.uid}); run: chown ${process.getuid!()} ${file}, or set EXO_HOME to a folder of your own`,
  );
}

/** Windows has other means; there the folder of the user is private by default. */
function hasOwners(): boolean {
  return process.getuid !== undefined;
}
