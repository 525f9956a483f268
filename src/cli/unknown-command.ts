/** What a word that is no command is answered with, wherever it stands. */
import { closest, printable } from '../shared/index.js';
import { HintedError } from './errors.js';

/** Commands of the original that this version does not have. */
export const UNSUPPORTED_COMMANDS: readonly string[] = ['eval', 'train'];

/** An `option-invalid` with the one of `names` that was probably meant. */
export function unknownCommand(word: string, names: readonly string[]): HintedError {
  const near = closest(word, names);
  return new HintedError(
    'option-invalid',
    `"${printable(word, 60)}" is not a command of exo`,
    near === undefined ? 'exo --help lists the commands' : `did you mean: exo ${near}?`,
  );
}
