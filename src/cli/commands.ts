/**
 * The commands as data: names, arguments, options, examples, and which module does the work. A module is loaded when
 * its command runs, so that `exo status` does not wait for a node to load.
 */
import type { CommandSpec } from './command-spec.js';
import { CONNECT, DISCONNECT, FAR } from './connect/commands.js';
import { MODEL } from './model/commands.js';
import { addNodeOptions, rawOptions } from './node-flags.js';
import { JOIN, KEY, TRUST } from './trust/commands.js';
import { DOCTOR, TUNNEL } from './tunnel/commands.js';

const NODE: CommandSpec = {
  name: 'node',
  args: '[words...]',
  summary: 'run a node in the foreground (what exo does without a command)',
  examples: [
    'exo                                      find peers on the local network',
    'exo --discovery-module manual --discovery-config-path peers.json',
    'exo --discovery-module direct --peer-host 127.0.0.1 --peer-port 49703',
    'exo --node-id mac1 --node-port 50060 --chatgpt-api-port 52416',
  ],
  options: (command) => addNodeOptions(command, false),
  async run(host, args, values, tree) {
    const raw = rawOptions(values);
    if (args.length > 0) return (await import('./commands/words.js')).words(host, args, raw, tree);
    const model = raw['run-model'];
    if (typeof model === 'string') return (await import('./commands/run.js')).run(host, model, raw, {});
    return (await import('./commands/node.js')).node(host, raw);
  },
};

const RUN: CommandSpec = {
  name: 'run',
  args: '[model]',
  summary: 'ask a model one question, print the answer and exit (without a name: the default model)',
  client: true,
  examples: [
    'exo run --prompt "Who are you?"',
    'git diff | exo run llama-3.2-1b --prompt -   the question from standard input',
    'All options of exo node are taken too; with one of them a node is started for the answer.',
  ],
  options: (command) => addNodeOptions(command, true),
  run: async (host, [model = ''], values) =>
    (await import('./commands/run.js')).run(host, model, rawOptions(values), values),
};

const VERIFY: CommandSpec = {
  name: 'verify',
  args: '[model]',
  summary: 'see whether a model split over nodes answers as on one node: by token ids and log probabilities',
  client: true,
  examples: [
    'exo verify',
    'exo verify llama-3.2-1b --weights bf16      machines of different kinds, weights in bfloat16',
    'exo verify --layers mac1=0-2,mac2=3-5 --json',
    'Exit code 0: the same; 1: not the same, or there was nothing to compare.',
  ],
  options: (command) =>
    command
      .option('--tokens <count>', 'tokens of each answer', '32')
      .option(
        '--weights <type>',
        'what the weights are, for the bound: f32, f16, bf16, q8_0, q4_0, q4_k',
        'f32',
      )
      .option('--layers <ranges>', 'how it is split: ID=0-11,ID=12-23 (default: over all nodes that can)')
      .option('--timeout <seconds>', 'wait this long for each answer', '300'),
  run: async (host, [model = ''], values) =>
    (await import('./verify/verify.js')).verify(host, model, {
      ...values,
      tokens: String(values['tokens']),
      weights: String(values['weights']),
      timeout: String(values['timeout']),
    }),
};

const PLAN: CommandSpec = {
  name: 'plan',
  args: '[model]',
  summary: 'show where a model would be computed now, how fast, and why',
  client: true,
  examples: ['exo plan', 'exo plan llama-3.2-1b', 'exo plan demo --json'],
  run: async (host, [model = ''], values) => (await import('./commands/plan.js')).plan(host, model, values),
};

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show a running node: itself, its ring, its peers',
  client: true,
  examples: ['exo status', 'exo status --api 127.0.0.1:52416', 'exo status --json | jq .peers'],
  run: async (host, _args, values) => (await import('./commands/status.js')).status(host, values),
};

const TOPOLOGY: CommandSpec = {
  name: 'topology',
  summary: 'show all machines of the mesh, their shares and their edges',
  client: true,
  examples: ['exo topology', 'exo topology --json'],
  run: async (host, _args, values) => (await import('./commands/topology.js')).topology(host, values),
};

const PEERS: CommandSpec = {
  name: 'peers',
  summary: 'list the peers of a running node',
  client: true,
  examples: ['exo peers', 'exo peers --all      also who is gone or was refused, and why'],
  options: (command) =>
    command.option('-a, --all', 'also peers that are gone, and what was refused, with reasons'),
  run: async (host, _args, values) => (await import('./commands/peers.js')).peers(host, values),
};

const PING: CommandSpec = {
  name: 'ping',
  args: '<node>',
  summary: 'measure the round trip to a peer',
  client: true,
  examples: ['exo ping mac2', 'exo ping mac2 -c 10 --json'],
  options: (command) =>
    command
      .option('-c, --count <n>', 'how many times, one a second', '4')
      .option('--timeout <seconds>', 'wait this long for each answer', '5'),
  run: async (host, [node = ''], values) =>
    (await import('./commands/ping.js')).ping(host, node, {
      ...values,
      count: String(values['count']),
      timeout: String(values['timeout']),
    }),
};

const STOP: CommandSpec = {
  name: 'stop',
  summary: 'end a running node',
  client: true,
  examples: ['exo stop', 'exo stop --api 127.0.0.1:52416'],
  run: async (host, _args, values) => (await import('./commands/stop.js')).stop(host, values),
};

const DEMO: CommandSpec = {
  name: 'demo',
  summary: 'run two nodes on this machine that find each other, and ask both a question',
  examples: [
    'exo demo',
    'exo demo --once      end after the answers',
    'exo demo --break     end the tunnel’s ssh once, and watch it come back',
  ],
  options: (command) =>
    command
      .option('--once', 'end after the answers')
      .option('--break', 'after the answers end the tunnel’s ssh once, and show how it comes back'),
  run: async (host, _args, values) =>
    (await import('./commands/demo.js')).demo(host, {
      once: values['once'] === true,
      break: values['break'] === true,
    }),
};

const COMPLETION: CommandSpec = {
  name: 'completion',
  args: '<shell>',
  summary: 'print the script that completes exo in bash, zsh or fish',
  examples: [
    "bash:  echo 'source <(exo completion bash)' >> ~/.bashrc",
    "zsh:   echo 'source <(exo completion zsh)' >> ~/.zshrc",
    'fish:  exo completion fish > ~/.config/fish/completions/exo.fish',
  ],
  run: async (host, [shell = '']) => (await import('./commands/completion.js')).completion(host, shell),
};

const COMPLETE: CommandSpec = {
  name: '__complete',
  args: '[words...]',
  summary: 'what the completion scripts ask',
  hidden: true,
  run: async (host, words, _values, tree) =>
    (await import('./commands/complete.js')).complete(host, words, tree),
};

/** All commands, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  NODE,
  RUN,
  MODEL,
  VERIFY,
  PLAN,
  STATUS,
  TOPOLOGY,
  PEERS,
  PING,
  CONNECT,
  DISCONNECT,
  TUNNEL,
  KEY,
  TRUST,
  JOIN,
  DOCTOR,
  STOP,
  DEMO,
  COMPLETION,
  COMPLETE,
  FAR,
];

/** Names that a user may type. */
export const COMMAND_NAMES: readonly string[] = COMMANDS.filter(({ hidden }) => hidden !== true).map(
  ({ name }) => name,
);
