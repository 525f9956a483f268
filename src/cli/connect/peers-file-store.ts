/**
 * Reads and replaces a peers file on disk: whole or not at all, with its mode kept, and only when the text differs, so
 * that a second run leaves it as it is. What changes in the text is `discovery`'s matter.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { EMPTY_PEERS_FILE } from '../../discovery/index.js';
import { ExoError, LIMITS } from '../../shared/index.js';

/** Owner only: tunnels name hosts and key files. */
const NEW_FILE_MODE = 0o600;

/** The text; an empty peers file where there is none. Throws `peers-file-unreadable`. */
export function readPeersText(file: string): string {
  try {
    const stats = statSync(file);
    if (!stats.isFile()) throw new Error('it is not a file');
    if (stats.size > LIMITS.peersFileBytesMax) throw new Error('it is too large for a peers file');
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY_PEERS_FILE;
    throw new ExoError('peers-file-unreadable', `${file} cannot be read (${(error as Error).message})`, {
      cause: error,
    });
  }
}

/** Makes an empty peers file where there is none; whether it did. Throws `state-unwritable`. */
export function createPeersFile(file: string): boolean {
  if (existsSync(file)) return false;
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  write(file, EMPTY_PEERS_FILE, NEW_FILE_MODE);
  return true;
}

/** Takes a file away that `createPeersFile` made, if nobody has put anything into it. */
export function removeEmptyPeersFile(file: string): void {
  if (readPeersText(file) === EMPTY_PEERS_FILE) rmSync(file, { force: true });
}

/**
 * Applies an edit to the file as it is at this moment.
 * @returns the text before, and whether it was changed
 */
export function editPeersFile(
  file: string,
  edit: (text: string, file: string) => string,
): { readonly before: string; readonly after: string } {
  const before = readPeersText(file);
  const after = edit(before, file);
  if (after !== before) write(file, after, existsSync(file) ? undefined : NEW_FILE_MODE);
  return { before, after };
}

/** Puts a text back, unless somebody else has changed the file since; then `otherwise` edits what is there. */
export function restorePeersFile(
  file: string,
  edited: { readonly before: string; readonly after: string },
  otherwise: (text: string, file: string) => string,
): void {
  if (edited.before === edited.after) return;
  editPeersFile(file, (text) => (text === edited.after ? edited.before : otherwise(text, file)));
}

/** The writer keeps mode and owner of a file that is there, and follows a link to it. */
function write(file: string, text: string, mode?: number): void {
  try {
    writeFileAtomic.sync(file, text, mode === undefined ? {} : { mode });
  } catch (error) {
    throw new ExoError(
      'state-unwritable',
      `cannot write ${file} (${(error as Error).message}); change its permissions`,
      { cause: error },
    );
  }
}
