/** Trust of a node as a whole: opened from a folder, stopped without a trace, the same after a restart. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
  seededRandom,
  silentLogger,
  systemClock,
  systemRandom,
  VirtualClock,
} from '../../src/shared/index.js';
import { rawPublicKey } from '../../src/trust/ed25519.js';
import { openTrust } from '../../src/trust/index.js';
import '../support/leaks.js';
import { folderOf } from './folders.js';

const real = { clock: systemClock, random: systemRandom, log: silentLogger, machineId: () => 'here' };

test('trust is opened, kept and found again', async (t) => {
  const home = folderOf(t);
  const options = {
    nodeFolder: path.join(home, 'nodes', 'one'),
    meshKeysFile: path.join(home, 'mesh-keys.json'),
  };
  const first = await openTrust(options, real);
  await first.start();
  assert.equal(first.isNew, true);
  assert.equal(first.sshSessions, undefined);
  const key = await first.keys.create();
  await first.store.pin('other', first.nodeKey.fingerprint, 'mesh-key');
  await first.stop();
  const second = await openTrust(options, real);
  assert.equal(second.isNew, false);
  assert.equal(second.nodeKey.fingerprint, first.nodeKey.fingerprint);
  assert.equal(second.keys.current?.id, key.id);
  assert.equal(second.authenticator.isPinned('other'), true);
  const { certificatePem } = await second.credentials();
  assert.deepEqual(rawPublicKey(new X509Certificate(certificatePem).publicKey), second.nodeKey.publicKey);
  assert.deepEqual(readdirSync(options.nodeFolder).sort(), [
    'certificate.pem',
    'key.pem',
    'machine',
    'trust.json',
  ]);
  assert.match(
    (await openTrust(options, { ...real, machineId: () => 'there' })).copyWarning ?? '',
    /another machine/,
  );
});

test('in memory it leaves no file, and a seed makes it again', async () => {
  const options = { nodeFolder: null, meshKeysFile: null, token: { text: 'a token that people made up' } };
  const open = () =>
    openTrust(options, { clock: new VirtualClock(), random: seededRandom(4), log: silentLogger });
  const [first, second] = [await open(), await open()];
  assert.equal(first.nodeKey.fingerprint, second.nodeKey.fingerprint);
  assert.equal(first.authenticator.requiresTrust, true);
  await first.start();
  await first.stop();
});

test('tokens and ssh keys come in by the settings of the node', async (t) => {
  const home = folderOf(t);
  const token = path.join(home, 'token');
  writeFileSync(token, 'a token that people made up\n', { mode: 0o600 });
  const list = path.join(home, 'authorized_keys');
  writeFileSync(list, '');
  const trust = await openTrust(
    { nodeFolder: null, meshKeysFile: null, token: { file: token }, sshAuthorizedKeys: list },
    real,
  );
  assert.notEqual(trust.sshSessions, undefined);
  assert.equal(trust.authenticator.hasMeans, true);
  assert.equal(trust.keys.valid.length, 1);
});

test('a folder that cannot be used is said with what to do', async (t) => {
  const home = folderOf(t);
  const nodeFolder = path.join(home, 'nodes', 'one');
  mkdirSync(path.dirname(nodeFolder));
  writeFileSync(nodeFolder, '');
  await assert.rejects(openTrust({ nodeFolder, meshKeysFile: null }, real), {
    code: 'trust-file-invalid',
    message: /is not a folder/,
  });
  await assert.rejects(openTrust({ nodeFolder: '/proc/none/one', meshKeysFile: null }, real), {
    code: 'state-unwritable',
    message: /EXO_HOME/,
  });
});
