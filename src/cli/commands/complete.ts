/**
 * `exo __complete -- words…`: what may stand in the place of the last word, one per line, for the completion scripts.
 * A failure (no node runs, a broken option) means nothing to complete, never a message.
 */
import type { Command, Option } from 'commander';
import { exoHome } from '../../node/home/index.js';
import { NODE_OPTIONS } from '../../node/options/index.js';
import { printable } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import type { PeersJson, TunnelsJson } from '../api-shapes.js';
import { visibleCommands } from '../command-spec.js';
import { EXIT } from '../errors.js';
import type { CliHost } from '../host.js';
import { resolveTarget, runningNodes } from '../target.js';
import type { KeyJson, TrustListJson } from '../trust/shapes.js';
import { SHELLS } from './completion.js';

/** A person waits at the prompt. */
const ASK_TIMEOUT_MS = 400;

/** What may stand there. */
interface Completion {
  readonly words: ReadonlyArray<{ readonly word: string; readonly help?: string }>;
  /** The shell completes paths by itself. */
  readonly paths?: 'files' | 'folders';
}

const NOTHING: Completion = { words: [] };

/** Options of the tunnel commands whose value is a file. */
const FILES: ReadonlySet<string> = new Set(['-i', '-F', '--peers', '--file']);

/** Commands under `tunnel` and `doctor` whose argument is the name of a tunnel. */
const OF_ONE_TUNNEL: ReadonlySet<string> = new Set([
  'tunnel status',
  'tunnel close',
  'tunnel reload',
  'tunnel logs',
  'doctor tunnels',
]);

/** Prints the words; `tree` has the commands. */
export async function complete(host: CliHost, words: readonly string[], tree: Command): Promise<number> {
  const found = await candidates(host, words, tree).catch(() => NOTHING);
  const current = words.at(-1) ?? '';
  const fitting = found.words.filter(({ word }) => word.startsWith(current));
  for (const { word, help } of fitting) {
    host.stdout.write(`${printable(word, 200)}${help === undefined ? '' : `\t${printable(help, 100)}`}\n`);
  }
  if (found.paths !== undefined) host.stdout.write(`:${found.paths}\n`);
  return EXIT.ok;
}

/** What may stand in the place of the last of `words`. */
async function candidates(host: CliHost, words: readonly string[], tree: Command): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const known = visibleCommands(tree);
  const first = known.find((command) => before.includes(command.name()) && isCommandWord(command, before));
  const under = first?.commands.find((each) =>
    before.slice(before.indexOf(first.name())).includes(each.name()),
  );
  const named = under ?? first;
  const command = named ?? known.find((each) => each.name() === 'node')!;
  const previous = before.at(-1);
  const option = previous === undefined ? undefined : findOption(command, previous);
  if (option?.required === true) return optionValue(host, option, current, before);
  if (current.startsWith('-')) return { words: optionWords(command, before) };
  if (named === undefined && before.every((word) => !word.startsWith('-'))) {
    const names = known.map((each) => ({ word: each.name(), help: each.description() }));
    if (before.length === 0)
      return { words: [...names, { word: 'help', help: 'print the help of a command' }] };
    return before.length === 1 && before[0] === 'help' ? { words: names } : NOTHING;
  }
  if (named !== undefined && named.commands.length > 0) {
    return { words: named.commands.map((each) => ({ word: each.name(), help: each.description() })) };
  }
  return argumentOf(host, named, before);
}

/** The first word that is not an option or its value. */
function isCommandWord(command: Command, before: readonly string[]): boolean {
  const at = before.indexOf(command.name());
  return before
    .slice(0, at)
    .every((word, index) => word.startsWith('-') || before[index - 1]?.startsWith('--'));
}

function findOption(command: Command, word: string): Option | undefined {
  return command.options.find(({ long, short }) => long === word || short === word);
}

function optionWords(command: Command, before: readonly string[]): Completion['words'] {
  return command.options
    .filter((option) => !option.hidden && option.long != null && !before.includes(option.long))
    .map((option) => ({ word: option.long!, help: option.description }));
}

async function optionValue(
  host: CliHost,
  option: Option,
  current: string,
  before: readonly string[],
): Promise<Completion> {
  const name = option.long?.slice(2) ?? '';
  if (name === 'api') {
    return {
      words: runningNodes(host.env).map(({ id, api }) => ({ word: `127.0.0.1:${api.port}`, help: id })),
    };
  }
  const spec = NODE_OPTIONS.find((each) => each.name === name);
  if (spec?.completes !== undefined)
    return { words: [], paths: spec.completes === 'file' ? 'files' : 'folders' };
  if (FILES.has(option.long ?? option.short ?? '')) return { words: [], paths: 'files' };
  if (option.argChoices !== undefined) return { words: option.argChoices.map((word) => ({ word })) };
  if (name === 'default-model' || name === 'run-model') return { words: await modelWords(host, before) };
  if (spec?.words === undefined) return NOTHING;
  // A list with commas: what is there stays, and the next one is completed.
  const head = current.slice(0, current.lastIndexOf(',') + 1);
  const taken = new Set(head.split(','));
  return { words: spec.words.filter((word) => !taken.has(word)).map((word) => ({ word: head + word })) };
}

async function argumentOf(
  host: CliHost,
  named: Command | undefined,
  before: readonly string[],
): Promise<Completion> {
  const parent = named?.parent?.parent == null ? '' : `${named.parent.name()} `;
  if (OF_ONE_TUNNEL.has(`${parent}${named?.name()}`)) return { words: await tunnelWords(host, before) };
  if (parent === 'trust ' && named?.name() === 'remove') return { words: await knownWords(host, before) };
  if (parent === 'key ' && named?.name() === 'forget') return { words: await keyWords(host, before) };
  if (parent === 'model ') return { words: await modelNames(host, named!.name()) };
  if (parent !== '') return NOTHING;
  switch (named?.name()) {
    case 'completion':
      return { words: SHELLS.map((word) => ({ word })) };
    case 'disconnect':
      return { words: await connectionWords(host) };
    case 'ping':
      return { words: await peerWords(host, before) };
    case 'plan':
    case 'run':
    case 'verify':
      return { words: await modelWords(host, before) };
    default:
      return NOTHING;
  }
}

async function connectionWords(host: CliHost): Promise<Completion['words']> {
  const { listRecords } = await import('../connect/connection-record.js');
  return listRecords(exoHome(host.env)).map(({ peer, destination }) => ({ word: peer, help: destination }));
}

async function peerWords(host: CliHost, before: readonly string[]): Promise<Completion['words']> {
  const { peers } = await ask<PeersJson>(host, before, '/v1/peers');
  return peers.map(({ id, state, address }) => ({ word: id, help: `${state}, ${address}` }));
}

async function knownWords(host: CliHost, before: readonly string[]): Promise<Completion['words']> {
  const { trusted } = await ask<TrustListJson>(host, before, '/v1/trust');
  return trusted.map(({ id, fingerprint }) => ({ word: id, help: fingerprint }));
}

async function keyWords(host: CliHost, before: readonly string[]): Promise<Completion['words']> {
  const { keys } = await ask<{ keys: readonly KeyJson[] }>(host, before, '/v1/keys');
  return keys.map(({ id, current }) => ({ word: id, ...(current ? { help: 'in use' } : {}) }));
}

async function tunnelWords(host: CliHost, before: readonly string[]): Promise<Completion['words']> {
  const { tunnels } = await ask<TunnelsJson>(host, before, '/v1/tunnels');
  return tunnels.map(({ name, state, destination }) => ({ word: name, help: `${state}, ${destination}` }));
}

/** Short names to fetch and to look at, what is kept here to remove and to check. */
async function modelNames(host: CliHost, command: string): Promise<Completion['words']> {
  const { catalogue } = await import('../../models/index.js');
  const short = catalogue().map(({ id, name }) => ({ word: id, help: name }));
  if (command === 'pull') return short;
  if (command !== 'rm' && command !== 'verify' && command !== 'info') return [];
  const { openStore } = await import('../model/settings.js');
  const { storedJson } = await import('../model/shapes.js');
  const stored = await openStore(host).list(new AbortController().signal);
  const here = stored.map(storedJson).map(({ id, directory }) => ({ word: id, help: directory }));
  return command === 'info'
    ? [...here, ...short.filter(({ word }) => here.every((each) => each.word !== word))]
    : here;
}

async function modelWords(host: CliHost, before: readonly string[]): Promise<Completion['words']> {
  const { data } = await ask<{ data: ReadonlyArray<{ id: string }> }>(host, before, '/v1/models');
  return data.map(({ id }) => ({ word: id }));
}

function ask<T>(host: CliHost, before: readonly string[], path: string): Promise<T> {
  const at = before.indexOf('--api');
  const target = resolveTarget(at < 0 ? undefined : before[at + 1], host.env);
  return callApi<T>(host.clock, target, { method: 'GET', path, timeoutMs: ASK_TIMEOUT_MS });
}
