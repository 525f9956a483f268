/**
 * Words after the options of a node. The original's form is `exo [options] [run|eval|train] [model]`: run is passed on,
 * the other two are told apart from a mistyped command.
 */
import type { Command } from 'commander';
import type { RawOptions } from '../../node/options/index.js';
import { ExoError, printable } from '../../shared/index.js';
import { visibleCommands } from '../command-spec.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import { UNSUPPORTED_COMMANDS, unknownCommand } from '../unknown-command.js';
import { run } from './run.js';

/** Runs `run <model>`; throws for everything else. */
export async function words(
  host: CliHost,
  args: readonly string[],
  raw: RawOptions,
  tree: Command,
): Promise<number> {
  const [command = '', model, extra] = args;
  if (command === 'run' && extra === undefined) {
    const named = model ?? raw['run-model'];
    return run(host, typeof named === 'string' ? named : '', raw, {});
  }
  if (UNSUPPORTED_COMMANDS.includes(command)) {
    throw new ExoError('option-unsupported', `exo ${command}: training and evaluation are not supported yet`);
  }
  const names = visibleCommands(tree).map((each) => each.name());
  if (names.includes(command)) {
    const what =
      command === 'run'
        ? `exo run takes one model, and "${printable(extra ?? '', 60)}" is too much`
        : `"${command}" must come before the options`;
    throw new HintedError('option-invalid', what, `write it as: exo ${command} …`);
  }
  throw unknownCommand(command, names);
}
