/** `exo connect`, `exo disconnect` and what they start on the far side, as data. */
import { type Command, Option } from 'commander';
import type { CommandSpec } from '../command-spec.js';

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** ssh's own letters for how to get there. */
function sshFlags(command: Command): void {
  const ssh = (option: Option) => command.addOption(option.helpGroup('As ssh:'));
  ssh(new Option('-p <port>', 'the port of sshd'));
  ssh(new Option('-l <user>', 'the user there'));
  ssh(new Option('-i <file>', 'a private key (several)').argParser(collect));
  ssh(new Option('-J <hosts>', 'go through these hosts, with commas'));
  ssh(new Option('-F <file>', 'a configuration file'));
  ssh(new Option('-o <name=value>', 'an option (several)').argParser(collect));
}

/** `exo connect`. */
export const CONNECT: CommandSpec = {
  name: 'connect',
  args: '<destination>',
  summary: 'join this machine and another over ssh: nodes, tunnel and peer entries on both sides',
  client: true,
  examples: [
    'exo connect remoteuser@192.168.2.1',
    'exo connect gpu-box --chat "Who are you?"       a Host of your ssh configuration',
    'exo connect me@host:2222 --send-build           where exo is not installed there',
    'Run again it changes nothing. exo disconnect undoes it.',
  ],
  options: (command) => {
    sshFlags(command);
    command
      .option('--known-hosts <file>', 'a known_hosts file in the place of the usual ones')
      .option('--accept-new-host-key', 'add the key of a host that no known_hosts file has, and show it')
      .option('--remote-command <exo>', 'exo there, as a path or a program on the PATH')
      .option('--remote-node <id>', 'the node there, where several run')
      .option('--send-build', 'send this program where there is none, without asking')
      .option('-y, --yes', 'yes to every question')
      .option('--chat <question>', 'ask a model one question through both')
      .option('--model <name>', 'the model that is asked (default: the node’s own)');
  },
  run: async (host, [destination = ''], values) =>
    (await import('./connect.js')).connect(host, destination, values),
};

/** `exo disconnect`. */
export const DISCONNECT: CommandSpec = {
  name: 'disconnect',
  args: '[peer]',
  summary: 'undo exo connect: the entries on both sides, the tunnel, the node that was started there',
  examples: ['exo disconnect mac2', 'exo disconnect remoteuser@192.168.2.1 --keep-remote'],
  options: (command) =>
    command
      .option('--keep-remote', 'leave the node there running')
      .addOption(new Option('--json', 'print JSON').helpGroup('Options:')),
  run: async (host, [peer], values) => (await import('./disconnect.js')).disconnect(host, peer, values),
};

/** What `exo connect` starts on the far side. */
export const FAR: CommandSpec = {
  name: '__far',
  summary: 'the far side of exo connect; reads requests from standard input',
  hidden: true,
  run: async (host) => (await import('./far-command.js')).far(host),
};
