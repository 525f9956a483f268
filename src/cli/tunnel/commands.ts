/** `exo tunnel …` and `exo doctor …` as data: names, options, examples. The modules that do the work are loaded when they run. */
import { type Command, Option } from 'commander';
import { printable } from '../../shared/index.js';
import type { CommandSpec } from '../command-spec.js';
import { HintedError } from '../errors.js';

/** For what may be given several times. */
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const WATCH = ['-w, --watch', 'go on showing it until Ctrl-C'] as const;

/** A command that only has others under it. */
export function parent(
  name: string,
  summary: string,
  examples: readonly string[],
  commands: readonly CommandSpec[],
): CommandSpec {
  return {
    name,
    summary,
    examples,
    commands,
    run: async (_host, [word]) => {
      const names = commands.map((each) => each.name).join(', ');
      if (word === undefined) {
        throw new HintedError('option-missing', `exo ${name} needs one of: ${names}`, `exo ${name} --help`);
      }
      throw new HintedError(
        'option-invalid',
        `"${printable(word, 60)}" is not a command of exo ${name}; it has: ${names}`,
        `exo ${name} --help`,
      );
    },
  };
}

/** ssh's own letters; what makes ssh only forward is taken and says nothing new. */
function sshFlags(command: Command): void {
  const many = (flags: string, help: string) => command.addOption(new Option(flags, help).argParser(collect));
  many('-L <forward>', 'as ssh: [bind:]port:host:port, a listener here (several)');
  many('-R <forward>', 'as ssh: a listener there (several)');
  command.option('-J <hosts>', 'as ssh: go through these hosts, with commas');
  many('-i <file>', 'as ssh: a private key (several)');
  command.option('-F <file>', 'as ssh: a configuration file');
  many('-o <name=value>', 'as ssh: an option (several)');
  command.option('-p <port>', 'as ssh: the port of sshd');
  command.option('-l <user>', 'as ssh: the user there');
  for (const flag of ['-N', '-T', '-n', '-f']) {
    command.addOption(new Option(flag, 'taken, without effect: a tunnel only forwards').hideHelp());
  }
}

const OPEN: CommandSpec = {
  name: 'open',
  args: '<destination>',
  summary: 'open a tunnel in the running node, which keeps it up; ssh’s flags',
  client: true,
  examples: [
    'exo tunnel open -L 50052:localhost:50051 -R 50060:localhost:50060 user@192.168.2.1',
    'exo tunnel open -L 49703:10.0.0.151:50051 -L 49704:10.0.0.152:50051 --name gw1 gateway1@network1',
    'exo tunnel open -L 5433:localhost:5432 --no-probe db-host     what leads to no exo node',
    'What is opened so ends with the node; a tunnel in peers.json comes back with it.',
  ],
  options: (command) => {
    sshFlags(command);
    command.option('--name <name>', 'how it is called (default: made from the destination)');
    command.addOption(
      new Option('--driver <name>', 'what carries it (default: openssh where there is an ssh)').choices([
        'openssh',
        'ssh2',
      ]),
    );
    command.option('--no-probe', 'send no health checks: it leads to something else than an exo node');
    command.option('--wait <seconds>', 'how long to wait until it is up; 0: not at all', '30');
  },
  run: async (host, [destination = ''], values) =>
    (await import('./open.js')).open(host, destination, values),
};

const LIST: CommandSpec = {
  name: 'list',
  summary: 'one line for each tunnel of the running node',
  client: true,
  examples: ['exo tunnel list', 'exo tunnel list --watch', 'exo tunnel list --json | jq ".tunnels[].state"'],
  options: (command) => command.option(...WATCH),
  run: async (host, _args, values) => (await import('./list.js')).list(host, values),
};

const STATUS: CommandSpec = {
  name: 'status',
  args: '[name]',
  summary: 'everything about one tunnel, or about each',
  client: true,
  examples: ['exo tunnel status', 'exo tunnel status mac2', 'exo tunnel status mac2 --watch'],
  options: (command) => command.option(...WATCH),
  run: async (host, [name], values) => (await import('./list.js')).status(host, name, values),
};

const CLOSE: CommandSpec = {
  name: 'close',
  args: '<name>',
  summary: 'end a tunnel; one of peers.json stays closed until it changes there, or the node starts again',
  client: true,
  examples: ['exo tunnel close mac2'],
  run: async (host, [name = ''], values) => (await import('./act.js')).close(host, name, values),
};

const RELOAD: CommandSpec = {
  name: 'reload',
  args: '[name]',
  summary: 'read peers.json now, and try again now what failed or waits (one tunnel, or all)',
  client: true,
  examples: ['exo tunnel reload', 'exo tunnel reload mac2      after its key was mended'],
  run: async (host, [name], values) => (await import('./act.js')).reload(host, name, values),
};

const LOGS: CommandSpec = {
  name: 'logs',
  args: '<name>',
  summary: 'what became of a tunnel: every change of its state, and why',
  client: true,
  examples: ['exo tunnel logs mac2', 'exo tunnel logs mac2 --follow'],
  options: (command) => command.option('-f, --follow', 'go on with what happens, until Ctrl-C'),
  run: async (host, [name = ''], values) => (await import('./logs.js')).logs(host, name, values),
};

/** `exo tunnel`. */
export const TUNNEL: CommandSpec = parent(
  'tunnel',
  'ssh tunnels that the running node keeps up',
  [
    'exo tunnel open -L 50052:localhost:50051 -R 50060:localhost:50060 user@192.168.2.1',
    'exo tunnel list --watch',
    'exo tunnel open --help      its flags, which are ssh’s',
  ],
  [OPEN, LIST, STATUS, CLOSE, RELOAD, LOGS],
);

const DOCTOR_TUNNELS: CommandSpec = {
  name: 'tunnels',
  args: '[name]',
  summary: 'say what is wrong with each tunnel, how that is known, and what to do',
  client: true,
  examples: [
    'exo doctor tunnels',
    'exo doctor tunnels mac2',
    'exo doctor tunnels --peers peers.json      without a running node: what can be seen from here',
  ],
  options: (command) =>
    command.option('--peers <file>', 'look at the tunnels of this file, without a running node'),
  run: async (host, [name], values) => (await import('./doctor.js')).doctor(host, name, values),
};

/** `exo doctor`. */
export const DOCTOR: CommandSpec = parent(
  'doctor',
  'find out what is wrong, and what to do',
  ['exo doctor tunnels'],
  [DOCTOR_TUNNELS],
);
