/** exo key, exo trust and exo join: on the files, and through the API of a node. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { apiTokenOf } from '../../src/api/index.js';
import { runProgram } from '../../src/cli/program.js';
import { StoredTrust } from '../../src/cli/trust/trust-control.js';
import { meshKeysFile, nodeFolder, takeIdentity, trustFile } from '../../src/node/home/index.js';
import { silentLogger, systemClock, systemRandom } from '../../src/shared/index.js';
import { loadNodeKey, openMeshKeys, parseInvitation, TrustStore } from '../../src/trust/index.js';
import { OWNER_TOKEN, startApi } from '../api/harness.js';
import { TestHost } from './host.js';

const folder = mkdtempSync(path.join(tmpdir(), 'exo-trust-'));
after(() => rmSync(folder, { recursive: true, force: true }));
/** Until a node that starts has its API. */
const STARTS_MS = 300;
const newHome = () => mkdtempSync(path.join(folder, 'home-'));

/** A person or a pipe at the command line. */
class Typing extends TestHost {
  input = '';
  secret: string | undefined;
  answer: string | undefined;
  readonly questions: string[] = [];

  override readInput(): Promise<string> {
    return Promise.resolve(this.input);
  }

  override ask(question: string): Promise<string | undefined> {
    this.questions.push(question);
    return Promise.resolve(this.answer);
  }

  override askSecret(question: string): Promise<string | undefined> {
    this.questions.push(question);
    return Promise.resolve(this.secret);
  }
}

interface Typed {
  readonly env: NodeJS.ProcessEnv;
  readonly isTTY?: boolean;
  readonly input?: string;
  readonly secret?: string;
  readonly answer?: string;
}

async function exo(argv: readonly string[], typed: Typed) {
  const host = new Typing(argv, { env: { NO_COLOR: '1', ...typed.env }, isTTY: typed.isTTY ?? false });
  host.input = typed.input ?? '';
  host.secret = typed.secret;
  host.answer = typed.answer;
  const code = await runProgram(host);
  return { code, out: host.out, err: host.err, questions: host.questions };
}

async function json<T>(argv: readonly string[], typed: Typed): Promise<T> {
  const { code, out, err } = await exo([...argv, '--json'], typed);
  assert.deepEqual([code, err], [0, ''], argv.join(' '));
  return JSON.parse(out) as T;
}

interface Shown {
  readonly keys: ReadonlyArray<{
    id: string;
    key: string;
    api_token: string;
    current: boolean;
    until_ms: number | null;
  }>;
}

/** Two ways to the same commands: the files of a home without a node, and the API of one. */
async function places(
  t: TestContext,
): Promise<Array<{ name: string; env: NodeJS.ProcessEnv; home: string }>> {
  const offline = newHome();
  const home = newHome();
  const components = { clock: systemClock, random: systemRandom, log: silentLogger };
  const { nodeKey } = loadNodeKey(nodeFolder(home, 'mac1'), { random: systemRandom });
  const control = new StoredTrust({
    clock: systemClock,
    keys: await openMeshKeys({ file: meshKeysFile(home) }, components),
    store: new TrustStore(trustFile(home, 'mac1'), components),
    self: { id: 'mac1', fingerprint: nodeKey.fingerprint },
    address: () => ({ host: '192.168.1.20', port: 50051 }),
    dial: async () => 'gateway',
  });
  const api = await startApi(t, {}, { trust: { control } });
  return [
    { name: 'files', env: { EXO_HOME: offline }, home: offline },
    {
      name: 'running node',
      env: { EXO_HOME: home, EXO_API: `127.0.0.1:${api.port}`, EXO_API_TOKEN: OWNER_TOKEN },
      home,
    },
  ];
}

test('key: made once, shown on purpose, joined elsewhere, rotated, forgotten; on files and through a node', async (t) => {
  for (const { name, env, home } of await places(t)) {
    const made = await exo(['key', 'new'], { env });
    assert.deepEqual([made.code, made.err], [0, ''], name);
    const id = /^mesh key ([0-9a-f]{8}) is made/.exec(made.out)?.[1];
    assert.ok(id !== undefined, made.out);
    assert.doesNotMatch(made.out, /exo1-/);
    assert.equal(statSync(meshKeysFile(home)).mode & 0o777, 0o600);

    const again = await exo(['key', 'new'], { env });
    assert.equal(again.code, 2);
    assert.match(again.err, new RegExp(`mesh key ${id} already.*exo key rotate`));

    const piped = await exo(['key', 'show'], { env });
    assert.deepEqual([piped.code, piped.out], [2, '']);
    assert.match(piped.err, /not a terminal\n.*--json/);
    const { keys } = await json<Shown>(['key', 'show'], { env });
    assert.match(keys[0]!.key, /^exo1-[\w-]{43}$/);
    assert.equal(keys[0]!.api_token, apiTokenOf(Buffer.from(keys[0]!.key.slice(5), 'base64url')));
    const seen = await exo(['key', 'show'], { env, isTTY: true });
    assert.ok(seen.out.includes(keys[0]!.key) && seen.out.includes(keys[0]!.api_token), seen.out);
    assert.match(seen.out, new RegExp(`^mesh key ${id} {2}in use, made \\d+ ms? ago`));

    // On another machine: by pipe, by hand, from a file.
    const keyFile = path.join(folder, `${name}.key`);
    writeFileSync(keyFile, `${keys[0]!.key}\n`, { mode: 0o600 });
    for (const [argv, typed] of [
      [['key', 'join'], { input: `${keys[0]!.key}\n` }],
      [['key', 'join'], { secret: keys[0]!.key, isTTY: true }],
      [['key', 'join', '--file', keyFile], {}],
    ] as const) {
      const there = { EXO_HOME: newHome() };
      const joined = await exo(argv, { env: there, ...typed });
      assert.match(joined.out, new RegExp(`^the mesh key ${id} is set`), joined.err);
      assert.ok(!`${joined.out}${joined.err}`.includes(keys[0]!.key));
      assert.equal((await json<Shown>(['key', 'show'], { env: there })).keys[0]!.key, keys[0]!.key);
    }

    const called = await exo(['key', 'rotate'], { env, answer: 'n' });
    assert.deepEqual([called.code, called.out], [130, '']);
    assert.match(called.questions[0] ?? '', new RegExp(`${id} ends.*Go on\\? \\[y/N\\]`));
    const rotated = await exo(['key', 'rotate', '--grace', '2'], { env, answer: 'y' });
    assert.match(
      rotated.out,
      new RegExp(`in use.*; ${id} is accepted for (?:2 h|1 h 59 min) more`),
      rotated.err,
    );
    const after = (await json<Shown>(['key', 'show'], { env })).keys;
    assert.deepEqual(
      after.map(({ current }) => current),
      [true, false],
    );
    assert.equal(after[1]!.id, id);
    await exo(['key', 'rotate', '--grace', '0', '--yes'], { env });
    assert.equal((await json<Shown>(['key', 'show'], { env })).keys.length, 1, 'the others have ended');

    const [last] = (await json<Shown>(['key', 'show'], { env })).keys;
    assert.equal((await exo(['key', 'forget', 'ffffffff'], { env })).code, 1);
    assert.equal((await exo(['key', 'forget', last!.id], { env, answer: '' })).code, 130);
    assert.equal((await exo(['key', 'forget', last!.id, '--yes'], { env })).code, 0);
    assert.deepEqual((await json<Shown>(['key', 'show'], { env })).keys, []);
  }
});

test('key join: what is wrong is said without the text, and another mesh’s key is replaced only on request', async (t) => {
  for (const { name, env } of await places(t)) {
    for (const [input, says] of [
      ['', /is needed, and nothing came\n.*exo key show/],
      ['exo1-tooshortsecret', /43 characters/],
      ['shortpassword', /at least 16/],
      ['x'.repeat(5_000), /that is something else/],
    ] as const) {
      const { code, out, err } = await exo(['key', 'join'], { env, input });
      assert.deepEqual([code, out], [2, ''], name);
      assert.match(err, says);
      assert.doesNotMatch(err, /tooshortsecret|shortpassword|xxx/);
    }
    assert.match(
      (await exo(['key', 'join', '--file', '/nonexistent'], { env })).err,
      /cannot be read \(ENOENT\)/,
    );
    await exo(['key', 'new'], { env });
    const other = { input: 'correct horse battery staple' };
    const refused = await exo(['key', 'join'], { env, ...other });
    assert.equal(refused.code, 2);
    assert.match(refused.err, /exo key join --replace/);
    const off = await exo(['key', 'join', '--replace'], { env, ...other, answer: 'no' });
    assert.equal(off.code, 130);
    const replaced = await exo(['key', 'join', '--replace', '--yes'], { env, ...other });
    assert.equal(replaced.code, 0, replaced.err);
    assert.equal(replaced.questions.filter((question) => question.includes('Go on')).length, 0);
  }
});

test('trust: this node’s key, nodes added and removed, a changed key named with its remedy', async (t) => {
  const fingerprint = `SHA256:${'a'.repeat(42)}E`;
  const other = `SHA256:${'b'.repeat(42)}E`;
  for (const { name, env } of await places(t)) {
    const empty = await exo(['trust', 'list'], { env });
    assert.match(empty.out, /SHA256:[\w+/]{43} {2}\(this node\)\n\nno other node/, name);
    assert.match((await exo(['trust', 'add', 'mac2', 'SHA256:short'], { env })).err, /43 characters/);
    const added = await exo(['trust', 'add', 'mac2', fingerprint], { env });
    assert.deepEqual([added.code, added.out], [0, `mac2 is trusted with the key ${fingerprint}\n`]);
    const changed = await exo(['trust', 'add', 'mac2', other], { env });
    assert.equal(changed.code, 1);
    assert.match(changed.err, /exo trust remove mac2/);
    const { trusted } = await json<{ trusted: ReadonlyArray<Record<string, unknown>> }>(['trust', 'list'], {
      env,
    });
    assert.deepEqual(
      trusted.map(({ since_ms: _, ...rest }) => rest),
      [{ id: 'mac2', fingerprint, trust: 'trusted', how: 'by-hand' }],
    );
    assert.match(
      (await exo(['trust', 'list'], { env })).out,
      /mac2 +SHA256:a+E +trusted +by by-hand, \d+ ms/,
    );
    assert.equal((await exo(['trust', 'remove', 'mac2'], { env, answer: 'n' })).code, 130);
    assert.equal(
      (await exo(['trust', 'remove', 'mac2'], { env })).code,
      0,
      'no terminal: a script has decided',
    );
    assert.equal((await exo(['trust', 'remove', 'mac2', '-y'], { env })).code, 1);
  }
});

test('an invitation is one line on stdout that exo join takes: as words, as a line, on files and in a node', async (t) => {
  const [files, node] = await places(t);
  const env = files!.env;
  const bare = await exo(['key', 'invite'], { env });
  assert.equal(bare.code, 2);
  assert.match(bare.err, /--address host:port/);
  assert.match((await exo(['key', 'invite', '--address', 'a:b:c:99999'], { env })).err, /--address/);
  const offline = await exo(['key', 'invite', '--address', 'gateway.example:50051'], { env });
  assert.match(offline.out, /^exo join gateway\.example:50051 SHA256:\S{43} join1-\S{22}\n$/);
  assert.match(offline.err, /works once, within (?:1 d|23 h 59 min)/);
  const { line } = await json<{ line: string }>(['key', 'invite'], { env: node!.env });
  const invited = parseInvitation(line.split(' ').slice(2));
  assert.equal(invited.address.host, '192.168.1.20');

  const words = line.split(' ').slice(1);
  const there = { EXO_HOME: newHome() };
  const kept = await exo(words, { env: there });
  assert.equal(kept.code, 0, kept.err);
  assert.match(kept.out, /kept.*192\.168\.1\.20:50051.*\n.*--peer-host 192\.168\.1\.20 --peer-port 50051/);
  const text = readFileSync(
    trustFile(there.EXO_HOME, readdirSync(path.join(there.EXO_HOME, 'nodes'))[0]!),
    'utf8',
  );
  assert.ok(text.includes(invited.secret));
  for (const typed of [{ secret: line, isTTY: true }, { input: `${line}\n` }]) {
    assert.equal((await exo(['join'], { env: { EXO_HOME: newHome() }, ...typed })).code, 0);
  }
  const online = await exo(['join', ...offline.out.trim().split(' ').slice(2)], { env: node!.env });
  assert.match(
    online.out,
    /^joined gateway at gateway\.example:50051 \(SHA256:\S+\); that mesh has no key\n$/,
  );
  for (const [argv, says] of [
    [['join', 'x:1'], /three words/],
    [['join', 'x:1', 'SHA256:x', 'join1-secretsecret'], /fingerprint/],
    [[...words.slice(0, -1), 'join1-secretsecret'], /22 characters/],
    [['join', ...offline.out.trim().split(' ').slice(2)], /run the line on the other machine/],
  ] as const) {
    const { code, err } = await exo(argv, { env });
    assert.equal(code, 2, argv.join(' '));
    assert.match(err, says);
    assert.doesNotMatch(err, /secretsecret/);
  }
});

test('EXO_AUTH_TOKEN counts where no node runs, and is said to be given', async () => {
  const env = { EXO_HOME: newHome(), EXO_AUTH_TOKEN: 'a text of sixteen characters or more' };
  const shown = await json<Shown & { keys: ReadonlyArray<{ source: string }> }>(['key', 'show'], { env });
  assert.equal(shown.keys[0]!.source, 'given');
  assert.match((await exo(['key', 'forget', shown.keys[0]!.id, '--yes'], { env })).err, /EXO_AUTH_TOKEN/);
  assert.equal((await exo(['key', 'show', '--json'], { env: { ...env, EXO_AUTH_TOKEN: 'short' } })).code, 2);
});

test('completion knows the commands, their options, and files', async () => {
  const words = async (...typed: string[]) => {
    const { out } = await exo(['__complete', '--', ...typed], { env: { EXO_HOME: newHome() } });
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t')[0]);
  };
  assert.deepEqual(await words('key', ''), ['new', 'show', 'join', 'rotate', 'forget', 'invite']);
  assert.deepEqual(await words('trust', ''), ['list', 'add', 'remove']);
  assert.deepEqual(await words('key', 'rotate', '--'), ['--api', '--json', '--node-id', '--yes', '--grace']);
  assert.deepEqual(await words('key', 'join', '--file', ''), [':files']);
});

for (const [name, subs] of [
  ['key', ['new', 'show', 'join', 'rotate', 'forget', 'invite']],
  ['trust', ['list', 'add', 'remove']],
] as const) {
  test(`exo ${name}: alone it names its commands, and each has examples`, async () => {
    const env = { EXO_HOME: newHome() };
    const bare = await exo([name], { env });
    assert.equal(bare.code, 2);
    assert.match(bare.err, new RegExp(`needs one of: ${subs.join(', ')}`));
    for (const sub of subs) {
      const { code, out } = await exo([name, sub, '--help'], { env });
      assert.equal(code, 0);
      assert.match(out, /^Examples:\n {2}exo /m, sub);
    }
  });
}

test('a home that is somebody else’s or damaged is named, with what mends it', async () => {
  const env = { EXO_HOME: newHome() };
  await exo(['key', 'new'], { env });
  writeFileSync(meshKeysFile(env.EXO_HOME), '{"version":1,"keys":[{"secret":"exo1-hunter2"}]}', {
    mode: 0o600,
  });
  const { code, err } = await exo(['key', 'show', '--json'], { env });
  assert.equal(code, 1);
  assert.match(err, /mesh-keys\.json/);
  assert.doesNotMatch(err, /hunter2/);
});

for (const nodeId of ['mac1', null]) {
  test(`a node that has just taken ${nodeId ?? 'the kept id'} is asked as soon as it can be`, async (t) => {
    const [, running] = await places(t);
    const { home, env } = running!;
    const { identity, runFile } = takeIdentity(
      { home, nodeId, version: '0.0.0' },
      { clock: systemClock, random: systemRandom },
    );
    t.after(() => runFile.remove());
    const named = nodeId === null ? [] : ['--node-id', nodeId];
    const asked = exo(['key', 'new', ...named], { env: { EXO_HOME: home } });
    const [host, port] = env['EXO_API']!.split(':');
    setTimeout(
      () => runFile.update({ api: { host: host!, port: Number(port), token: OWNER_TOKEN }, nodePort: 1 }),
      STARTS_MS,
    );
    const { code, out, err } = await asked;
    assert.deepEqual([code, err], [0, '']);
    assert.ok(out.includes(`join in the running node ${identity.id}`), out);
  });
}
