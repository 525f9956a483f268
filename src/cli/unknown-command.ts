/** What a word that is no command is answered with, wherever it stands. */
import { closest, printable } from '../shared/index.js';
import { COMMAND_NAMES } from './commands.js';
import { HintedError } from './errors.js';

/** An `option-invalid` with the command that was probably meant. */
export function unknownCommand(word: string): HintedError {
  const near = closest(word, COMMAND_NAMES);
  return new HintedError(
    'option-invalid',
    `"${printable(word, 60)}" is not a command of exo`,
    near === undefined ? 'exo --help lists the commands' : `did you mean: exo ${near}?`,
  );
}
