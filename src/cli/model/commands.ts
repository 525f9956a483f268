/** `exo model …` as data: names, options, examples. What does the work is loaded when it runs. */
import type { Command } from 'commander';
import type { CommandSpec } from '../command-spec.js';
import { parent } from '../tunnel/commands.js';

const json = (command: Command) => command.option('--json', 'print JSON');
const yes = (command: Command) => command.option('-y, --yes', 'do not ask');
const offline = (command: Command) => command.option('--offline', 'ask no hub (also: HF_HUB_OFFLINE=1)');

const LIST: CommandSpec = {
  name: 'list',
  summary: 'show the models that are kept on this machine: layers, size, folder',
  examples: ['exo model list', 'exo model list --json | jq ".models[].repository"'],
  options: (command) => {
    json(command);
  },
  run: async (host, _args, values) => (await import('./list.js')).list(host, values),
};

const SEARCH: CommandSpec = {
  name: 'search',
  args: '[words...]',
  summary: 'find models: short names, and what the hub has in safetensors',
  examples: [
    'exo model search                    all short names',
    'exo model search qwen coder',
    'exo model search --offline llama    short names only',
  ],
  options: (command) => {
    offline(json(command)).option('--limit <n>', 'models of the hub at most', '20');
  },
  run: async (host, words, values) =>
    (await import('./search.js')).search(host, words, { ...values, limit: String(values['limit']) }),
};

const PULL: CommandSpec = {
  name: 'pull',
  args: '<model>',
  summary: 'fetch a model, or some layers of it; what is there is not fetched again',
  examples: [
    'exo model pull llama-3.2-1b',
    'exo model pull Qwen/Qwen3-0.6B --revision main',
    'exo model pull llama-3.1-8b --layers 0-15      what one node of two needs',
    'HF_ENDPOINT=https://mirror.example exo model pull phi-4',
    'A model that asks for terms needs a token: HF_TOKEN, or the file that the hub’s own tools write.',
  ],
  options: (command) => {
    offline(json(command))
      .option('--layers <from-to>', 'only these layers, both included, counted from 0')
      .option('--revision <name>', 'branch, tag or commit', 'main')
      .option('--max-parallel-downloads <count>', 'requests at the same time', '8')
      .option('--download-quick-check', 'compare sizes of what is there, not hashes')
      .option('--update', 'ask the hub for a newer version also where everything is there');
  },
  run: async (host, [model = ''], values) =>
    (await import('./pull.js')).pull(host, model, {
      ...values,
      revision: String(values['revision']),
      maxParallelDownloads: String(values['maxParallelDownloads']),
    }),
};

const RM: CommandSpec = {
  name: 'rm',
  args: '<model>',
  summary: 'remove the files of a model from this machine',
  examples: ['exo model rm llama-3.2-1b', 'exo model rm Qwen/Qwen3-0.6B --yes'],
  options: (command) => {
    yes(json(command));
  },
  run: async (host, [model = ''], values) => (await import('./rm.js')).remove(host, model, values),
};

const INFO: CommandSpec = {
  name: 'info',
  args: '<model>',
  summary: 'what a model is, and what of it is kept here; else what the hub has of it',
  examples: ['exo model info llama-3.2-1b', 'exo model info /models/my-own --json'],
  options: (command) => {
    offline(json(command));
  },
  run: async (host, [model = ''], values) => (await import('./info.js')).info(host, model, values),
};

const VERIFY: CommandSpec = {
  name: 'verify',
  args: '<model>',
  summary: 'read the files of a model and compare them with their hashes',
  examples: [
    'exo model verify llama-3.2-1b',
    'exo model verify llama-3.2-1b || exo model pull llama-3.2-1b      fetches what is damaged or gone',
  ],
  options: (command) => {
    json(command);
  },
  run: async (host, [model = ''], values) => (await import('./verify.js')).verify(host, model, values),
};

/** `exo model`. */
export const MODEL: CommandSpec = parent(
  'model',
  'the models on this machine, and how they come here',
  ['exo model search qwen', 'exo model pull llama-3.2-1b', 'exo model list'],
  [LIST, SEARCH, PULL, RM, INFO, VERIFY],
);
