/** `$EXO_HOME`, the folder of everything that a node keeps: where it is, and that it is there for the owner alone. */
import { mkdirSync } from 'node:fs';
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

/** Creates the folders that are missing, for the owner only (0700). Throws `state-unwritable`. */
export function ensureHome(home: string): void {
  for (const folder of [home, runFolder(home)]) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new ExoError(
        'state-unwritable',
        `cannot create the folder ${folder} (${(error as Error).message}); set EXO_HOME to a folder that you may write to`,
        { cause: error },
      );
    }
  }
}
