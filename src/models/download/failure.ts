/** What the file system says while models are written, in words that say what to do. */
import path from 'node:path';
import { ExoError, printable } from '../../shared/index.js';

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

/** A file that no node gives and that no hub may be asked for. */
export function notAllHere(repository: string, file: string): ExoError {
  return new ExoError(
    'model-absent',
    `${printable(file)} of ${printable(repository)} is not all here, and no hub may be asked (--offline); start a node that has it, or ask again without --offline`,
  );
}
