/** The house: which room may import which, and where a package of others may be met. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { ROOT } from '../support/processes.js';
import { sources } from './sources.js';

/** A room, the rooms it must not import, and why. */
interface Rule {
  readonly room: string;
  readonly never: readonly string[];
  readonly reason: string;
}

const ABOVE_NODE = ['api', 'web', 'cli'];
const RULES: readonly Rule[] = [
  {
    room: 'shared',
    never: ['protocol', 'discovery', 'tunnels', 'topology', 'models', 'inference', 'node', ...ABOVE_NODE],
    reason: 'the ground floor stands on nothing of ours',
  },
  {
    room: 'protocol',
    never: ['discovery', 'tunnels', 'topology', 'models', 'inference', 'node', ...ABOVE_NODE],
    reason: 'the wire knows messages, not what they are for',
  },
  {
    room: 'discovery',
    never: ['tunnels', 'topology', 'models', 'inference'],
    reason: 'rooms beside each other do not know each other: they meet in node',
  },
  {
    room: 'tunnels',
    never: ['protocol', 'discovery', 'topology', 'models', 'inference'],
    reason:
      'a forward is an address and a probe is a function: tunnels know nothing of the protocol or of peers',
  },
  {
    room: 'topology',
    never: ['discovery', 'tunnels', 'models', 'inference'],
    reason: 'rooms beside each other do not know each other: they meet in node',
  },
  {
    room: 'inference',
    never: ['discovery', 'tunnels'],
    reason:
      'rooms beside each other do not know each other; only the ring needs the partition (topology), and the engine the models',
  },
  {
    room: 'models',
    never: ['protocol', 'discovery', 'tunnels', 'topology', 'inference'],
    reason: 'a checkpoint is files and numbers: who computes it, and on how many nodes, is not its matter',
  },
  {
    room: 'trust',
    never: ['protocol', 'discovery', 'tunnels', 'topology', 'models', 'inference'],
    reason:
      'what is proven is a matter of keys and bytes: trust knows nothing of the connection that carries it',
  },
  ...['protocol', 'discovery', 'tunnels', 'topology', 'models', 'inference'].map((room) => ({
    room,
    never: ['trust'],
    reason: 'they ask narrow ports that they declare themselves; node brings trust to them',
  })),
  ...['discovery', 'tunnels', 'topology', 'models', 'inference', 'trust'].map((room) => ({
    room,
    never: ['node', ...ABOVE_NODE],
    reason: 'a room declares the narrow port that it needs; node implements it',
  })),
  { room: 'node', never: ABOVE_NODE, reason: 'the node runs without a front end' },
  {
    room: 'api',
    never: ['cli'],
    reason: 'the API is put in place by the command line and knows nothing of it',
  },
  {
    room: 'web',
    never: ['protocol', 'discovery', 'tunnels', 'topology', 'models', 'inference', 'node', 'api', 'cli'],
    reason: 'a page talks to the API over HTTP, as any client does',
  },
];

/** Where a package may be imported: path prefixes under src/. Every dependency of package.json is here. */
const FENCES: Record<string, { readonly places: readonly string[]; readonly reason: string }> = {
  commander: { places: ['cli/'], reason: 'only the command line parses arguments' },
  'cli-table3': { places: ['cli/'], reason: 'only the command line prints tables' },
  picocolors: { places: ['cli/'], reason: 'only the command line has colours' },
  'eventsource-parser': { places: ['cli/'], reason: 'only the command line reads our own streams' },
  zod: { places: ['node/config', 'cli/', 'api/'], reason: 'zod checks options, environment and HTTP bodies' },
  ajv: {
    places: ['discovery/', 'protocol/', 'node/config'],
    reason: 'ajv checks published schemas and JSON from the wire',
  },
  'jsonc-parser': {
    places: ['discovery/', 'node/config'],
    reason: 'JSON with comments is a matter of files that people write',
  },
  hono: { places: ['api/'], reason: 'only the API routes HTTP' },
  '@hono/node-server': { places: ['api/'], reason: 'only the API serves HTTP' },
  pino: { places: ['shared/log.ts'], reason: 'one logger' },
  'pino-pretty': { places: ['shared/log.ts'], reason: 'one logger' },
  ssh2: {
    places: ['tunnels/ssh2/', 'trust/ssh-'],
    reason: 'one driver, the embedded server beside it, and the keys by which people are known',
  },
  '@peculiar/asn1-schema': { places: ['trust/certificate.ts'], reason: 'one certificate is made' },
  '@peculiar/asn1-x509': { places: ['trust/certificate.ts'], reason: 'one certificate is made' },
  '@huggingface/tokenizers': {
    places: ['models/tokenizer/tokenizer.ts', 'models/tokenizer/token-table.ts'],
    reason: 'tokenizer.json is read once, and its decoder is used apart from the rest',
  },
  '@huggingface/jinja': {
    places: ['models/tokenizer/template/'],
    reason: 'templates are rendered in one place',
  },
  'ipaddr.js': {
    places: ['shared/address.ts', 'discovery/'],
    reason: 'addresses are parsed on the ground floor; ranges matter to discovery',
  },
  koffi: {
    places: ['inference/engines/ggml/library/'],
    reason: 'native functions are called in the process that computes, and nowhere else',
  },
  systeminformation: { places: ['topology/'], reason: 'only topology probes the machine' },
  'env-paths': { places: ['node/', 'cli/'], reason: 'where the state lies is decided once' },
  'write-file-atomic': {
    places: ['node/', 'cli/', 'shared/', 'trust/'],
    reason: 'state is written in one way',
  },
};

/** Parts of a room with an index of their own, so that a command can start without the whole room. */
const PARTS = new Set(['src/node/config/index.ts', 'src/node/home/index.ts', 'src/node/options/index.ts']);

/**
 * Rooms inside a room: the folders of `src/inference`, and which of them each may import, through its index. What stands beside the
 * folders (engine.ts, engine-models.ts, ...) is the ground of all of them. Engines are beside the ring: it meets them by engine.ts.
 */
const INFERENCE: Readonly<Record<string, readonly string[]>> = {
  sampling: [],
  ring: ['sampling'],
  engines: ['sampling'],
  'node-models': ['engines'],
  planner: ['ring', 'node-models'],
  answers: ['planner', 'ring', 'sampling'],
};

const all = sources();

test('the table of rooms names only rooms that exist, and every room that exists', () => {
  const named = new Set(RULES.flatMap((rule) => [rule.room, ...rule.never]));
  for (const room of named)
    assert.ok(existsSync(path.join(ROOT, 'src', room)), `src/${room} is gone: mend the table`);
  for (const source of all) {
    assert.ok(named.has(source.room), `${source.file}: the room "${source.room}" is not in the table`);
  }
});

test('imports go down only', () => {
  const faults: string[] = [];
  for (const source of all) {
    for (const { target, specifier } of source.imports) {
      const room = target?.split('/')[1];
      for (const rule of RULES) {
        if (rule.room === source.room && room !== undefined && rule.never.includes(room)) {
          faults.push(`${source.file} imports ${specifier}: ${rule.reason}`);
        }
      }
    }
  }
  assert.deepEqual(faults, []);
});

test('a room is imported through its index and nothing behind it', () => {
  const faults: string[] = [];
  for (const source of all) {
    for (const { target, specifier } of source.imports) {
      if (target === undefined) continue;
      const room = target.split('/')[1]!;
      if (!target.startsWith('src/')) faults.push(`${source.file} imports ${specifier}, outside src/`);
      else if (room !== source.room && !PARTS.has(target) && target !== `src/${room}/index.ts`) {
        faults.push(`${source.file} imports ${specifier}: only ../${room}/index.js is for others`);
      }
    }
  }
  assert.deepEqual(faults, []);
});

test('the folders of inference import each other in one direction, through their indexes', () => {
  const folderOf = (file: string): string | undefined => /^src\/inference\/([^/]+)\//.exec(file)?.[1];
  const faults: string[] = [];
  for (const { file, room, imports } of all) {
    if (room !== 'inference') continue;
    const mine = folderOf(file);
    if (mine !== undefined && INFERENCE[mine] === undefined)
      faults.push(`${file}: a folder not in the table`);
    for (const { target, specifier } of imports) {
      const other = folderOf(target ?? '');
      if (other === undefined || other === mine) continue;
      if (target !== `src/inference/${other}/index.ts`) {
        faults.push(`${file} imports ${specifier}: only ${other}/index.js is for others`);
      }
      const isAllowed =
        file === 'src/inference/index.ts' || (mine !== undefined && INFERENCE[mine]?.includes(other));
      if (!isAllowed)
        faults.push(`${file} imports ${specifier}: ${mine ?? 'the ground'} stands below ${other}`);
    }
  }
  const folders = new Set(all.map(({ file }) => folderOf(file)).filter((folder) => folder !== undefined));
  assert.deepEqual([...folders].sort(), Object.keys(INFERENCE).sort());
  assert.deepEqual(faults, []);
});

test('every import leads to a file', () => {
  const files = new Set(all.map((source) => source.file));
  const faults = all.flatMap((source) =>
    source.imports
      .filter(({ target }) => target?.endsWith('.ts') && !files.has(target))
      .map(({ specifier }) => `${source.file}: ${specifier}`),
  );
  assert.deepEqual(faults, []);
});

test('no file imports itself through others', () => {
  const targets = new Map(all.map(({ file, imports }) => [file, imports.map(({ target }) => target)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const follow = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file);
    if (at >= 0) circles.push([...way.slice(at), file].join(' > '));
    if (at >= 0 || done.has(file)) return;
    for (const target of targets.get(file) ?? []) if (target !== undefined) follow(target, [...way, file]);
    done.add(file);
  };
  for (const { file } of all) follow(file, []);
  assert.deepEqual(circles, []);
});

test('a package of others is met behind its fence only', () => {
  const faults: string[] = [];
  for (const source of all) {
    for (const { packageName } of source.imports) {
      if (packageName === undefined || packageName.startsWith('node:')) continue;
      const fence = FENCES[packageName];
      if (fence === undefined) faults.push(`${source.file} imports ${packageName}, which has no fence`);
      else if (!fence.places.some((place) => source.file.startsWith(`src/${place}`))) {
        faults.push(`${source.file} imports ${packageName}: ${fence.reason}`);
      }
    }
  }
  assert.deepEqual(faults, []);
});

test('every dependency has a fence and is used', () => {
  const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  assert.deepEqual(Object.keys(manifest.dependencies).sort(), Object.keys(FENCES).sort());
  const used = new Set(all.flatMap((source) => source.imports.map(({ packageName }) => packageName)));
  // pino loads pino-pretty by itself in some set-ups; here it is imported like the others.
  assert.deepEqual(
    Object.keys(FENCES).filter((name) => !used.has(name)),
    [],
  );
});

test('the drivers of tunnels do not know each other: what both need is in tunnels/ssh', () => {
  const faults = all.flatMap(({ file, imports }) =>
    imports.flatMap(({ target, specifier }) => {
      const [mine, other] = [file, target ?? ''].map(
        (name) => /^src\/tunnels\/(openssh|ssh2|ssh)\//.exec(name)?.[1],
      );
      const isFault = mine !== undefined && other !== undefined && mine !== other && other !== 'ssh';
      return isFault ? [`${file} imports ${specifier}`] : [];
    }),
  );
  assert.deepEqual(faults, []);
});
