/** A connection for commands, against a real sshd: one login, fixed words, nothing left behind. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/shared/index.js';
import { type CommandConnection, openCommandConnection, parseTunnelSpec } from '../../src/tunnels/index.js';
import { Cleanup } from '../support/processes.js';
import { type Sshd, sshdUnavailable, startSshd } from '../support/sshd.js';

const skip = sshdUnavailable() ?? false;
const cleanup = new Cleanup();
let sshd: Sshd;
before(async () => {
  if (skip === false) sshd = await startSshd(cleanup);
});
after(() => cleanup.dispose());

const spec = (more: object = {}) =>
  parseTunnelSpec(
    { ssh: sshd.destination, sshConfig: sshd.clientConfig, forward: ['0:localhost:1'], ...more },
    { name: 'test', source: 'command' },
  );
const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`exo-login-${process.pid}-`));

async function open(hostKey: 'known' | 'accept-new' = 'known', signal = new AbortController().signal) {
  return openCommandConnection({ spec: spec(), hostKey, signal }, { clock: systemClock });
}

async function said(
  connection: CommandConnection,
  line: string,
): Promise<{ out: string; code: number | null }> {
  const child = connection.start(line);
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  // An ssh that ends at once reads no input.
  child.stdin.on('error', () => undefined).end('input');
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { out, code };
}

test('commands run over one login, with their input, output and exit code', { skip }, async () => {
  sshd.clearLog();
  const connection = await open();
  assert.ok('start' in connection, JSON.stringify(connection));
  assert.match(connection.facts.hostKey!, /^ssh-ed25519 SHA256:\S{43}$/);
  assert.ok(!connection.facts.hostKeyAdded);
  assert.deepEqual(await said(connection, 'cat; exit 3'), { out: 'input', code: 3 });
  const both = await Promise.all(['echo one', 'echo two'].map((line) => said(connection, line)));
  assert.deepEqual(
    both.map(({ out }) => out),
    ['one\n', 'two\n'],
  );
  assert.equal(sshd.connections(), 1);
  await connection.close();
  await connection.close();
  assert.deepEqual(folders(), []);
  // Where the connection has ended nothing connects anew.
  assert.equal((await said(connection, 'echo no')).code, 255);
  assert.equal(sshd.connections(), 1);
});

test('a command that its caller has lost sight of ends with the connection', { skip }, async () => {
  const connection = await open();
  assert.ok('start' in connection, JSON.stringify(connection));
  const child = connection.start('echo there; exec sleep 600');
  await new Promise((resolve) => child.stdout.once('data', resolve));
  // Standing still it takes no SIGTERM, and does not see that its connection is gone.
  process.kill(child.pid!, 'SIGSTOP');
  await connection.close();
  assert.ok(child.exitCode !== null || child.signalCode !== null);
  assert.deepEqual(folders(), []);
});

test('an unknown host key is refused before any key is offered, and taken only when told to', {
  skip,
}, async () => {
  const known = readFileSync(sshd.knownHosts, 'utf8');
  writeFileSync(sshd.knownHosts, '');
  sshd.clearLog();
  try {
    const refused = await open();
    assert.ok('code' in refused && refused.code === 'host-key-unknown', JSON.stringify(refused));
    assert.equal(sshd.keysOffered(), 0);
    const taken = await open('accept-new');
    assert.ok('start' in taken && taken.facts.hostKeyAdded);
    await taken.close();
    assert.equal(readFileSync(sshd.knownHosts, 'utf8').split(' ')[2]!.trim(), known.split(' ')[2]!.trim());
  } finally {
    writeFileSync(sshd.knownHosts, known);
  }
  assert.deepEqual(folders(), []);
});

test('a key that is not let in, a port where nobody is, a signal: each has its reason and leaves nothing', {
  skip,
}, async () => {
  const authorized = readFileSync(sshd.authorizedKeys);
  writeFileSync(sshd.authorizedKeys, '');
  try {
    const refused = await open();
    assert.ok('code' in refused && refused.code === 'auth-failed', JSON.stringify(refused));
  } finally {
    writeFileSync(sshd.authorizedKeys, authorized);
  }
  const nobody = await openCommandConnection(
    { spec: spec({ ssh: '127.0.0.1:1' }), signal: new AbortController().signal },
    { clock: systemClock },
  );
  assert.ok('code' in nobody && nobody.code === 'connect-refused', JSON.stringify(nobody));
  const controller = new AbortController();
  const opening = open('known', controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(opening, /enough/);
  assert.deepEqual(folders(), []);
});
