/** Keys, invitations and ssh sessions of real nodes, as their owners use them: by command and over HTTP. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { apiTokenOf } from '../../src/api/index.js';
import { eventually } from '../support/eventually.js';
import { getJson } from '../support/http.js';
import { startNode } from '../support/one-node.js';
import { Cleanup, EXO_MAIN, type RunningNode } from '../support/processes.js';

interface Started {
  readonly node: RunningNode;
  readonly cleanup: Cleanup;
}

async function start(
  t: TestContext,
  id: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Started> {
  const cleanup = new Cleanup();
  t.after(() => cleanup.dispose());
  return { node: await startNode(cleanup, { id, args, env: { EXO_AUTH_TOKEN: '', ...env } }), cleanup };
}

/** A command beside the node, as its owner types it. */
function exo(node: RunningNode, argv: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [EXO_MAIN, ...argv], {
    env: { ...process.env, EXO_HOME: node.home, EXO_API: '', EXO_AUTH_TOKEN: '', NO_COLOR: '1' },
    input,
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { code: status, out: stdout, err: stderr };
}

function json<T>(node: RunningNode, argv: readonly string[]): T {
  const { code, out, err } = exo(node, [...argv, '--json']);
  assert.equal(code, 0, err);
  return JSON.parse(out) as T;
}

interface Shown {
  readonly keys: ReadonlyArray<{ readonly id: string; readonly key: string; readonly api_token: string }>;
}
interface Peers {
  readonly peers: ReadonlyArray<{
    readonly id: string;
    readonly state: string;
    readonly trust: string | null;
  }>;
}

/**
 * The status of a request that needs any token, also from this machine. On a connection of its own: while a command runs this
 * process does not hear that the node has ended an idle one.
 */
const trusted = async (node: RunningNode, token: string) => {
  const response = await fetch(`${node.api}/download`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, connection: 'close' },
    body: '{"model":"dummy"}',
  });
  await response.text();
  return response.status;
};

test('a key made at a running node lets its token in, a rotation another one; secrets stay out of the log', async (t) => {
  const { node } = await start(t, 'mac1');
  assert.equal(await trusted(node, apiTokenOf(Buffer.alloc(32))), 401);
  const made = exo(node, ['key', 'new']);
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, /in the running node mac1/);
  const [first] = json<Shown>(node, ['key', 'show']).keys;
  assert.equal(await trusted(node, first!.api_token), 200);
  assert.equal(await trusted(node, first!.key), 401, 'the key itself is no token');
  assert.equal(exo(node, ['key', 'rotate', '--grace', '0', '--yes']).code, 0);
  const [second] = json<Shown>(node, ['key', 'show']).keys;
  assert.notEqual(second!.id, first!.id);
  assert.equal(await trusted(node, first!.api_token), 401);
  assert.equal(await trusted(node, second!.api_token), 200);
  assert.equal(exo(node, ['trust', 'add', 'mac9', `SHA256:${'a'.repeat(42)}E`]).code, 0);
  assert.match(exo(node, ['trust', 'list']).out, /mac9 +SHA256:/);
  for (const secret of [first!.key, first!.api_token, second!.key, second!.api_token]) {
    assert.ok(!node.child.output.includes(secret));
  }
});

test('EXO_AUTH_TOKEN in words is a bearer token, and the API may then be opened to others', async (t) => {
  const text = 'correct-horse-battery-staple';
  const { node } = await start(t, 'mac1', ['--chatgpt-api-host', '0.0.0.0'], { EXO_AUTH_TOKEN: text });
  assert.equal(await trusted(node, text), 200);
  assert.equal(await trusted(node, `${text}x`), 401);
  assert.equal(await trusted(node, json<Shown>(node, ['key', 'show']).keys[0]!.api_token), 200);
  assert.ok(!node.child.output.includes(text));
  if (process.platform === 'linux') {
    assert.ok(!readFileSync(`/proc/${node.child.pid}/cmdline`, 'utf8').includes(text));
  }
});

test('exo key invite at one node, its line at the other: both trust each other and have one key', async (t) => {
  const one = await start(t, 'mac1');
  const two = await start(t, 'mac2');
  assert.equal(exo(one.node, ['key', 'new']).code, 0);
  const address = `127.0.0.1:${one.node.nodePort}`;
  const { line } = json<{ line: string }>(one.node, ['key', 'invite', '--address', address]);
  const joined = exo(two.node, ['join', '--json'], `${line}\n`);
  assert.equal(joined.code, 0, `${joined.err}\n${two.node.child.output}`);
  const answer = JSON.parse(joined.out) as { id: string; key_id: string };
  const [key] = json<Shown>(one.node, ['key', 'show']).keys;
  assert.deepEqual([answer.id, answer.key_id], ['mac1', key!.id]);
  assert.equal(json<Shown>(two.node, ['key', 'show']).keys[0]!.key, key!.key);
  for (const [{ node }, other] of [
    [one, 'mac2'],
    [two, 'mac1'],
  ] as const) {
    await eventually(
      { timeoutMs: 10_000, what: `${other} is a trusted peer`, onLate: () => node.child.output },
      async () => {
        const { peers } = await getJson<Peers>(`${node.api}/v1/peers`);
        return peers.some(({ id, state, trust }) => id === other && state === 'alive' && trust !== null);
      },
    );
  }
  // Once only.
  const again = await start(t, 'mac3');
  assert.notEqual(exo(again.node, ['join'], line).code, 0);
  assert.equal(json<Shown>(again.node, ['key', 'show']).keys.length, 0);
});

/** What cilo's client does: asks, signs the text of the challenge, and sends the blob. */
async function signIn(node: RunningNode, publicLine: string, key: KeyObject, change: object = {}) {
  const post = async (path: string, body: object) => {
    const response = await fetch(`${node.api}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  const { body: given } = await post('/auth/challenge', { public_key: publicLine });
  const request = {
    public_key: publicLine,
    challenge: given['challenge'],
    signature: sign(null, Buffer.from(given['challenge'] ?? ''), key).toString('base64'),
    signature_format: 'ssh-ed25519',
    ...change,
  };
  return {
    request,
    first: await post('/auth/connect', request),
    again: await post('/auth/connect', request),
  };
}

test('an ssh key of the named file opens a session, once per challenge; another key does not', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const stranger = generateKeyPairSync('ed25519');
  const line = (key: KeyObject) => {
    const raw = key.export({ format: 'der', type: 'spki' }).subarray(-32);
    const text = (bytes: Buffer) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return Buffer.concat([length, bytes]);
    };
    const blob = Buffer.concat([text(Buffer.from('ssh-ed25519')), text(raw)]);
    return `ssh-ed25519 ${blob.toString('base64')} somebody`;
  };
  const folder = new Cleanup();
  t.after(() => folder.dispose());
  const file = path.join(folder.folder(), 'authorized_keys');
  writeFileSync(file, `${line(publicKey)}\n`, { mode: 0o600 });
  const { node } = await start(t, 'mac1', ['--ssh-authorized-keys', file]);
  const session = await signIn(node, line(publicKey), privateKey);
  assert.equal(session.first.status, 200, JSON.stringify(session.first.body));
  const token = session.first.body['token'] ?? '';
  assert.equal(Buffer.from(token, 'base64url').length, 32);
  const leftMs = Date.parse(session.first.body['expires_at'] ?? '') - Date.now();
  assert.ok(Math.abs(leftMs - 24 * 60 * 60 * 1000) < 60_000, `${leftMs} ms`);
  assert.equal(session.again.status, 403, 'a challenge is used once');
  assert.equal(await trusted(node, token), 200);
  const keys = await fetch(`${node.api}/v1/keys`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(keys.status, 403, 'a session is not the owner');

  const unlisted = await signIn(node, line(stranger.publicKey), stranger.privateKey);
  assert.equal(unlisted.first.status, 403);
  const stolen = await signIn(node, line(publicKey), stranger.privateKey);
  assert.equal(stolen.first.status, 403);
  assert.equal(unlisted.first.body['error'], stolen.first.body['error'], 'which of the two is not told');

  const end = () =>
    fetch(`${node.api}/auth/disconnect`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
  assert.equal((await end()).status, 200);
  assert.equal((await end()).status, 401);
  assert.equal(await trusted(node, token), 401);
  assert.ok(!node.child.output.includes(token));
});
