/** Names of files in a description: `~/` and relative ones made whole. They are read by ssh, which expands `%` and `$`. */
import { isAbsolute, join, resolve } from 'node:path';
import { textFault, wordRefused } from './forbidden-text.js';

/** Where names of files begin. */
export interface PathFolders {
  readonly homeFolder: string;
  /** For names that are neither whole nor begin with `~/`; without it they are refused. */
  readonly baseFolder?: string;
}

/** The whole path. Throws `tunnel-spec-invalid`. */
export function resolvePath(text: string, folders: PathFolders): string {
  const instead = 'write the path of a file, from "/" or "~/"';
  const fault = textFault(text, { spaces: true });
  if (fault !== undefined) throw wordRefused(text, fault, instead);
  if (text !== text.trim()) throw wordRefused(text, 'begins or ends with a space', instead);
  if (text.endsWith('/')) throw wordRefused(text, 'is a folder', instead);
  if (text.startsWith('~/')) return join(folders.homeFolder, text.slice(2));
  if (text.startsWith('~'))
    throw wordRefused(text, 'is in the home of somebody else', 'write the whole path');
  if (isAbsolute(text)) return text;
  if (folders.baseFolder === undefined) throw wordRefused(text, 'is not a whole path', instead);
  return resolve(folders.baseFolder, text);
}
