/** Asks before something that cannot be taken back, where there is a person to ask. */
import { EXIT } from '../errors.js';
import type { CliHost } from '../host.js';

/** Options of the commands that ask. */
export interface ConfirmOptions {
  readonly yes?: boolean;
}

/** Whether to go on: `--yes`, a yes at the terminal, or no terminal (then a script has decided). */
export async function confirmed(host: CliHost, what: string, options: ConfirmOptions): Promise<boolean> {
  if (options.yes === true) return true;
  const answer = await host.ask(`${what} Go on? [y/N] `);
  if (answer === undefined || /^y(es)?$/i.test(answer.trim())) return true;
  host.stderr.write('nothing was changed\n');
  return false;
}

/** How a command ends that the person called off. */
export const CALLED_OFF = EXIT.cancelled;
