/** `$EXO_HOME`, the folder of everything that a node keeps: where it is, and that it is there for the owner alone. */
import { createHash } from 'node:crypto';
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import envPaths from 'env-paths';
import { ExoError } from '../../shared/index.js';

/** The folder: EXO_HOME, or the platform's place for application data. Absolute; not created. */
export function exoHome(env: NodeJS.ProcessEnv): string {
  const named = env['EXO_HOME'];
  return named ? path.resolve(named) : envPaths('exo', { suffix: '' }).data;
}

/** The folder of the run files. */
export function runFolder(home: string): string {
  return path.join(home, 'run');
}

/** Long enough that two nodes of one machine never meet; a control socket's path has little room. */
const TUNNEL_FOLDER_CHARS = 8;

/**
 * The folder of a node's tunnels, not created. Named by a digest of the node id: a control socket lies in it, and its
 * whole path must stay under the 104 bytes that every system allows.
 */
export function tunnelFolder(home: string, nodeId: string): string {
  const digest = createHash('sha256').update(nodeId).digest('hex');
  return path.join(home, 'tunnels', digest.slice(0, TUNNEL_FOLDER_CHARS));
}

/** Creates the folders that are missing, for the owner only (0700). Throws `state-unwritable`. */
export function ensureHome(home: string): void {
  for (const folder of [home, runFolder(home)]) {
    try {
      makeFolders(folder);
    } catch (error) {
      throw new ExoError(
        'state-unwritable',
        `cannot create the folder ${folder} (${(error as Error).message}); set EXO_HOME to a folder that you may write to`,
        { cause: error },
      );
    }
  }
}

/**
 * One folder after the other from the nearest that is there. Not `mkdir` with `recursive`: where a folder that exists
 * answers ENOENT, as /proc does, Node 20 goes up and down between the two for ever.
 */
function makeFolders(folder: string): void {
  const missing: string[] = [];
  let at = folder;
  while (!isFolder(at)) {
    missing.push(at);
    const parent = path.dirname(at);
    if (parent === at) break;
    at = parent;
  }
  for (const each of missing.reverse()) {
    try {
      mkdirSync(each, { mode: 0o700 });
    } catch (error) {
      // Another start may have made it just now.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !isFolder(each)) throw error;
    }
  }
}

/** Throws where it is something else, or where that cannot be told. */
function isFolder(name: string): boolean {
  const stats = statSync(name, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  if (stats.isDirectory()) return true;
  throw new Error(`${name} is a file`);
}
