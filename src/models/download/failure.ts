/** What the file system says while models are written, in words that say what to do. */
import path from 'node:path';
import { ExoError } from '../../shared/index.js';

/** `disk-full` or `state-unwritable`; an `ExoError` stays as it is. */
export function writeFailure(file: string, error: unknown): ExoError {
  if (error instanceof ExoError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ExoError(
      'disk-full',
      `${path.dirname(file)} is full; what was fetched is kept: make room (exo model list shows what is there, exo model rm removes one) and ask again`,
      { cause: error },
    );
  }
  return new ExoError(
    'state-unwritable',
    `cannot write ${file} (${message}); choose another folder for models with EXO_MODELS_DIRS`,
    { cause: error },
  );
}
