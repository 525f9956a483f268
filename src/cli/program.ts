/**
 * The command line: commander reads it, a command does the work, every failure comes out in one form. `main.ts` runs
 * it; completion walks the same tree.
 */
import { Command, CommanderError, Option } from 'commander';
import { ExoError } from '../shared/index.js';
import type { CommandSpec } from './command-spec.js';
import { COMMAND_NAMES, COMMANDS } from './commands.js';
import { EXIT, HintedError, reportError } from './errors.js';
import { type CliHost, wantsColour } from './host.js';
import { UNSUPPORTED_COMMANDS, unknownCommand } from './unknown-command.js';
import { version } from './version.js';

const ABOUT = `exo makes the machines you already own behave as one.

Without a command it runs a node, with all options of "exo node"; the other commands talk to a running one.`;

const EXAMPLES = [
  'exo                          run a node; peers on the local network are found',
  'exo status                   what the running node sees',
  'exo run --prompt hi          one question, one answer',
  'exo demo                     two nodes on this machine, to look around',
  'exo node --help              all options of a node',
];

/** Runs the command of `host.argv`; resolves with the exit code and never rejects. */
export async function runProgram(host: CliHost): Promise<number> {
  let code: number = EXIT.ok;
  let command: string | undefined;
  const program = buildProgram(
    host,
    (result) => {
      code = result;
    },
    (name) => {
      command = name;
    },
  );
  const asJson = host.argv.includes('--json');
  try {
    refuseHelpOfNothing(host.argv);
    await program.parseAsync([...host.argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      const [first = ''] = host.argv;
      // Options that belong to the mistyped command are not those of a node.
      const words = [...COMMAND_NAMES, 'help', ...UNSUPPORTED_COMMANDS];
      const isMistyped = /^[a-z]/.test(first) && !words.includes(first);
      if (isMistyped) return reportError(host, unknownCommand(first, COMMAND_NAMES), asJson, command);
      return reportError(host, usageError(error), asJson, command);
    }
    return reportError(host, error, asJson, command);
  }
}

/** Commander answers `help` of an unknown word with the help of everything, as an error without words. */
function refuseHelpOfNothing([first, word]: readonly string[]): void {
  if (first !== 'help' || word === undefined || word === 'help' || word.startsWith('-')) return;
  if (!COMMAND_NAMES.includes(word)) throw unknownCommand(word, COMMAND_NAMES);
}

/**
 * The tree of commands. `done` gets the exit code of the one that ran, `entered` the name of the one that runs or
 * that the line was meant for.
 */
function buildProgram(
  host: CliHost,
  done: (code: number) => void,
  entered: (name: string) => void = () => undefined,
): Command {
  const program = prepare(new Command('exo'), host, () => undefined)
    .description(ABOUT)
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .usage('[command] [options]')
    .addHelpText('after', examples(EXAMPLES));
  for (const spec of COMMANDS) program.addCommand(buildCommand(spec, host, done, entered), placing(spec));
  program.helpCommand('help [command]', 'print the help of a command');
  return program;
}

function placing(spec: CommandSpec) {
  return { isDefault: spec.name === 'node', hidden: spec.hidden === true };
}

function buildCommand(
  spec: CommandSpec,
  host: CliHost,
  done: (code: number) => void,
  entered: (name: string) => void,
  above = '',
): Command {
  const path = `${above}${spec.name}`;
  const command = prepare(new Command(spec.name), host, () => entered(path)).description(spec.summary);
  command.helpOption('-h, --help', 'print this help');
  if (spec.commands !== undefined) {
    command.helpCommand(false);
    for (const each of spec.commands) {
      command.addCommand(buildCommand(each, host, done, entered, `${path} `));
    }
    // Reached by nothing or by a word that is none of them.
    command.arguments('[words...]');
  }
  if (spec.args !== undefined) command.arguments(spec.args);
  if (spec.client === true) {
    command
      .addOption(
        new Option(
          '--api <address>',
          'the running node, as host:port (default: EXO_API, else the one that runs here)',
        ).helpGroup('Options:'),
      )
      .addOption(new Option('--json', 'print JSON').helpGroup('Options:'));
  }
  spec.options?.(command);
  if (spec.name === '__complete') command.allowUnknownOption().helpOption(false);
  if (spec.examples !== undefined) command.addHelpText('after', examples(spec.examples));
  command.action(async () => {
    entered(path);
    const values = command.opts();
    done(await spec.run(host, command.args, values, rootOf(command)));
  });
  return command;
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

/** Output and errors go through the host; nothing here ends the process. */
function prepare(command: Command, host: CliHost, entered: (name: string) => void): Command {
  const onExit = (error: CommanderError) => {
    entered(command.name());
    throw error;
  };
  // Also where the options have long names and the terminal 80 columns.
  const help = command.configureHelp({ minWidthToWrap: 20 });
  return help.exitOverride(onExit).configureOutput({
    writeOut: (text) => host.stdout.write(text),
    writeErr: () => undefined,
    outputError: () => undefined,
    getOutHelpWidth: () => Math.min(host.stdout.columns ?? 100, 110),
    getOutHasColors: () => wantsColour(host.stdout, host.env),
  });
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

/** Commander's own complaints, in our form. */
function usageError(error: CommanderError): ExoError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = /\((Did you mean .*)\)/.exec(rest.join(' '))?.[1];
  const code = error.code === 'commander.missingArgument' ? 'option-missing' : 'option-invalid';
  return suggestion === undefined
    ? new ExoError(code, first)
    : new HintedError(code, first, suggestion.replace(/^Did/, 'did'));
}
