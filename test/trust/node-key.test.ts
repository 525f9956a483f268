/** The key of a node: made once, read back, and refused where others could have it. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { seededRandom, systemRandom } from '../../src/shared/index.js';
import { fingerprintOf, nodeKeyFromSeed } from '../../src/trust/ed25519.js';
import { machineId, platformUuid } from '../../src/trust/machine-id.js';
import { loadNodeKey } from '../../src/trust/node-key.js';
import '../support/leaks.js';
import { ROOT } from '../support/processes.js';
import { program } from '../support/program.js';
import { folderOf } from './folders.js';

const here = { random: systemRandom, machineId: () => 'machine-a' };
const codeOf = (code: string, message: RegExp) => (error: unknown) => {
  const { code: got, message: text } = error as { code: string; message: string };
  assert.equal(got, code);
  assert.match(text, message);
  return true;
};

test('a node key is made once and read back, for the owner alone', (t) => {
  const folder = path.join(folderOf(t), 'nodes', 'one');
  const first = loadNodeKey(folder, here);
  const second = loadNodeKey(folder, here);
  assert.equal(first.isNew, true);
  assert.equal(second.isNew, false);
  assert.deepEqual(second.nodeKey.publicKey, first.nodeKey.publicKey);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(path.join(folder, 'key.pem')).mode & 0o777, 0o600);
  assert.equal(statSync(path.join(folder, 'machine')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder).sort(), ['key.pem', 'machine']);
});

test('a node key depends on the random source alone', () => {
  const key = nodeKeyFromSeed(seededRandom(7).bytes(32));
  assert.deepEqual(key.publicKey, nodeKeyFromSeed(seededRandom(7).bytes(32)).publicKey);
  // RFC 8032, 7.1, test 1.
  const known = nodeKeyFromSeed(
    Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex'),
  );
  assert.equal(
    known.publicKey.toString('hex'),
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  );
});

test('starts at the same instant get one key', async (t) => {
  const folder = path.join(folderOf(t), 'nodes', 'one');
  const { execArgv, file } = program(path.join(ROOT, 'src/trust/node-key.ts'));
  const code = `import { loadNodeKey } from ${JSON.stringify(file)};
    import { systemRandom } from ${JSON.stringify(program(path.join(ROOT, 'src/shared/index.ts')).file)};
    console.log(loadNodeKey(${JSON.stringify(folder)}, { random: systemRandom }).nodeKey.fingerprint);`;
  const run = promisify(execFile);
  const starts = await Promise.all(
    Array.from({ length: 6 }, () =>
      run(process.execPath, [...execArgv, '--input-type=module', '-e', code], { cwd: ROOT }),
    ),
  );
  assert.equal(new Set(starts.map(({ stdout }) => stdout)).size, 1);
  assert.match(starts[0]!.stdout, /^SHA256:/);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('key')),
    ['key.pem'],
  );
});

test('a start that another one overtakes takes the key of that one', (t) => {
  const folder = path.join(folderOf(t), 'nodes', 'one');
  let other: string | undefined;
  const random = {
    ...systemRandom,
    // Asked for a seed where no key was found: just then another start makes one.
    bytes: (count: number) => {
      other ??= loadNodeKey(folder, here).nodeKey.fingerprint;
      return systemRandom.bytes(count);
    },
  };
  const loaded = loadNodeKey(folder, { ...here, random });
  assert.equal(loaded.nodeKey.fingerprint, other);
  assert.equal(loaded.isNew, false);
  assert.deepEqual(readdirSync(folder).sort(), ['key.pem', 'machine']);
});

test('a key that others may read is refused with the command that mends it', (t) => {
  const folder = path.join(folderOf(t), 'nodes', 'one');
  loadNodeKey(folder, here);
  const file = path.join(folder, 'key.pem');
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(file, mode);
    assert.throws(() => loadNodeKey(folder, here), codeOf('trust-file-invalid', /run: chmod 600 .*key\.pem/));
  }
  chmodSync(file, 0o600);
  chmodSync(folder, 0o777);
  assert.throws(() => loadNodeKey(folder, here), codeOf('trust-file-invalid', /run: chmod 700 /));
});

test('a key of another user is refused', {
  skip: process.getuid?.() !== 0 && 'only root can give a file away',
}, (t) => {
  const folder = path.join(folderOf(t), 'nodes', 'one');
  loadNodeKey(folder, here);
  chownSync(path.join(folder, 'key.pem'), 12_345, 12_345);
  assert.throws(
    () => loadNodeKey(folder, here),
    codeOf('trust-file-invalid', /another user \(uid 12345\); run: chown 0 /),
  );
});

test('a damaged key is refused in words that do not show it', (t) => {
  const folder = path.join(folderOf(t), 'nodes', 'one');
  loadNodeKey(folder, here);
  const file = path.join(folder, 'key.pem');
  const whole = readFileSync(file, 'utf8');
  const body = whole.split('\n')[1]!;
  for (const text of [
    '',
    whole.slice(0, 60),
    whole.replace(body, `${body.slice(0, 20)}!!`),
    'x'.repeat(4_096),
  ]) {
    writeFileSync(file, text);
    assert.throws(
      () => loadNodeKey(folder, here),
      (error: Error) => {
        assert.ok(!error.message.includes(body.slice(0, 10)));
        return codeOf('trust-file-invalid', /put it back from a backup, or move it away/)(error);
      },
    );
  }
  writeFileSync(file, 'x'.repeat(5_000));
  assert.throws(() => loadNodeKey(folder, here), codeOf('trust-file-invalid', /5000 bytes/));
  rmSync(file);
  mkdirSync(file);
  assert.throws(() => loadNodeKey(folder, here), codeOf('trust-file-invalid', /is not a file/));
});

test('a copied folder is noticed, and said in words until it is settled', (t) => {
  const home = folderOf(t);
  const folder = path.join(home, 'nodes', 'one');
  const copy = path.join(home, 'nodes', 'two');
  assert.equal(loadNodeKey(folder, here).copyWarning, undefined);
  cpSync(folder, copy, { recursive: true });
  const there = { random: systemRandom, machineId: () => 'machine-b' };
  assert.match(loadNodeKey(copy, there).copyWarning ?? '', /another machine.*rm .*machine.*rm .*key\.pem/);
  assert.match(loadNodeKey(copy, there).copyWarning ?? '', /another machine/);
  assert.equal(loadNodeKey(folder, here).copyWarning, undefined);
  rmSync(path.join(copy, 'machine'));
  assert.equal(loadNodeKey(copy, there).copyWarning, undefined);
  assert.match(loadNodeKey(copy, here).copyWarning ?? '', /another machine/);
  const silent = { random: systemRandom, machineId: () => undefined };
  assert.equal(loadNodeKey(copy, silent).copyWarning, undefined);
});

test('the id of a machine is read where the system tells it', {
  skip: process.platform !== 'linux' && 'Linux only',
}, () => {
  const id = machineId();
  assert.ok(id === undefined || /^[0-9a-f]{32}$/.test(id));
  assert.equal(
    platformUuid('    "IOPlatformUUID" = "0A1B2C3D-0000-1111-2222-333344445555"\n'),
    '0A1B2C3D-0000-1111-2222-333344445555',
  );
  assert.equal(platformUuid('"IOPlatformUUID" = ""'), undefined);
});

test('a fingerprint is the one that ssh-keygen prints', (t) => {
  const folder = folderOf(t);
  const { publicKey, fingerprint } = nodeKeyFromSeed(seededRandom(1).bytes(32));
  assert.equal(fingerprintOf(publicKey), fingerprint);
  const blob = Buffer.concat([
    Buffer.from('0000000b', 'hex'),
    Buffer.from('ssh-ed25519'),
    Buffer.from('00000020', 'hex'),
    publicKey,
  ]);
  const file = path.join(folder, 'key.pub');
  writeFileSync(file, `ssh-ed25519 ${blob.toString('base64')} test\n`);
  const printed = spawnSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' });
  if (printed.error !== undefined) return t.skip('ssh-keygen is not installed');
  assert.equal(printed.stdout.split(' ')[1], fingerprint);
});
