/** `exo key …`, `exo trust …` and `exo join` as data: names, options, examples. What does the work is loaded when it runs. */
import type { Command } from 'commander';
import type { CommandSpec } from '../command-spec.js';
import { parent } from '../tunnel/commands.js';

const nodeId = (command: Command) =>
  command.option(
    '--node-id <id>',
    'the node of this machine that is meant (default: the one that runs or ran here)',
  );
const yes = (command: Command) => command.option('-y, --yes', 'do not ask');

const NEW: CommandSpec = {
  name: 'new',
  summary: 'make the key of a new mesh: only nodes that have it may join then',
  client: true,
  examples: ['exo key new', 'exo key new && exo key invite'],
  options: nodeId,
  run: async (host, _args, values) => (await import('./key.js')).newKey(host, values),
};

const SHOW: CommandSpec = {
  name: 'show',
  summary: 'print the mesh keys with their secrets, and the token that each gives for the HTTP API',
  client: true,
  examples: ['exo key show', 'exo key show --json | jq -r ".keys[0].api_token"'],
  options: nodeId,
  run: async (host, _args, values) => (await import('./key.js')).showKeys(host, values),
};

const JOIN_KEY: CommandSpec = {
  name: 'join',
  summary:
    'take over the mesh key of another machine: asked for, from standard input or a file; never as an argument',
  client: true,
  examples: [
    'exo key join                             paste it; it is not shown',
    'ssh mac1 exo key show --json | jq -r ".keys[0].key" | exo key join',
    'exo key join --file /run/secrets/exo     one line: exo1-…, or a text of 16 characters or more',
  ],
  options: (command) => {
    nodeId(command).option('--file <file>', 'read it from this file');
    yes(command).option('--replace', 'in the place of another mesh key that is set here');
  },
  run: async (host, _args, values) => (await import('./key.js')).joinKey(host, values),
};

const ROTATE: CommandSpec = {
  name: 'rotate',
  summary:
    'make a new mesh key in the place of the current one; connected nodes get it, the old one ends after a while',
  client: true,
  examples: [
    'exo key rotate',
    'exo key rotate --grace 0 --yes      the old one ends now: it was seen by somebody',
  ],
  options: (command) => {
    yes(nodeId(command)).option(
      '--grace <hours>',
      'how long the old one is still accepted (default: a week)',
    );
  },
  run: async (host, _args, values) => (await import('./key.js')).rotateKey(host, values),
};

const FORGET: CommandSpec = {
  name: 'forget',
  args: '<id>',
  summary: 'remove a mesh key from this machine alone, to leave its mesh',
  client: true,
  examples: ['exo key forget 1f2e3d4c'],
  options: (command) => {
    yes(nodeId(command));
  },
  run: async (host, [id = ''], values) => (await import('./key.js')).forgetKey(host, id, values),
};

const INVITE: CommandSpec = {
  name: 'invite',
  summary: 'print one line that lets one machine join, once, within a day',
  client: true,
  examples: [
    'exo key invite',
    'exo key invite --address gateway.example:50051      where others reach this node',
  ],
  options: (command) => {
    nodeId(command).option(
      '--address <host:port>',
      'where others reach this node (default: its own address)',
    );
  },
  run: async (host, _args, values) => (await import('./key.js')).invite(host, values),
};

/** `exo key`. */
export const KEY: CommandSpec = parent(
  'key',
  'the key of the mesh: who has it may join',
  ['exo key new', 'exo key invite', 'exo key rotate --help'],
  [NEW, SHOW, JOIN_KEY, ROTATE, FORGET, INVITE],
);

const LIST: CommandSpec = {
  name: 'list',
  summary: 'show the key of this node, and which nodes it knows by theirs',
  client: true,
  examples: ['exo trust list', 'exo trust list --json | jq -r .self.fingerprint'],
  options: nodeId,
  run: async (host, _args, values) => (await import('./trust.js')).list(host, values),
};

const ADD: CommandSpec = {
  name: 'add',
  args: '<node> <fingerprint>',
  summary: 'trust a node by its key, until it is removed',
  client: true,
  examples: ['exo trust add mac2 SHA256:hVhUqwcVwqo1PB2wYxvNUS7IgVnwlYX6E9IiyEhYBgE'],
  options: nodeId,
  run: async (host, [id = '', fingerprint = ''], values) =>
    (await import('./trust.js')).add(host, id, fingerprint, values),
};

const REMOVE: CommandSpec = {
  name: 'remove',
  args: '<node>',
  summary: 'forget a node and its key: it is trusted no more, or may come back with another key',
  client: true,
  examples: ['exo trust remove mac2', 'exo trust remove mac2 --yes'],
  options: (command) => {
    yes(nodeId(command));
  },
  run: async (host, [id = ''], values) => (await import('./trust.js')).remove(host, id, values),
};

/** `exo trust`. */
export const TRUST: CommandSpec = parent(
  'trust',
  'the nodes that this one knows by their keys',
  ['exo trust list', 'exo trust remove mac2'],
  [LIST, ADD, REMOVE],
);

/** `exo join`. */
export const JOIN: CommandSpec = {
  name: 'join',
  args: '[invitation...]',
  summary: 'join a mesh with the line that exo key invite printed there',
  client: true,
  examples: [
    'exo join 192.168.1.20:50051 SHA256:hVhUqwcVwqo1PB2wYxvNUS7IgVnwlYX6E9IiyEhYBgE join1-…',
    'exo join      asks for the line, so that it stands in no history',
  ],
  options: nodeId,
  run: async (host, words, values) => (await import('./trust.js')).join(host, words, values),
};
