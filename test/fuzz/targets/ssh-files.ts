/** Files of the user's ssh as the driver ssh2 reads them: known_hosts, ssh_config and what `ssh -G` prints, keys. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isPrintable, LIMITS } from '../../../src/shared/index.js';
import { generateKeyPair } from '../../../src/tunnels/index.js';
import { parseConfigDump } from '../../../src/tunnels/ssh/config-dump.js';
import { readKeyFile } from '../../../src/tunnels/ssh2/key-file.js';
import {
  checkHostKey,
  knownKeyTypes,
  lookupName,
  parseKnownHosts,
} from '../../../src/tunnels/ssh2/known-hosts.js';
import { loadSsh2 } from '../../../src/tunnels/ssh2/load.js';
import { SessionFailed } from '../../../src/tunnels/ssh2/session-failed.js';
import { answerFromSubset } from '../../../src/tunnels/ssh2/ssh-config-subset.js';
import type { FuzzTarget } from '../target.js';

/** A key blob: its type with a length in front, and bytes. */
function keyOf(id: number): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE('ssh-ed25519'.length);
  return Buffer.concat([head, Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, id)]);
}
const KEYS = [keyOf(1), keyOf(2)];
const WRITTEN = KEYS.map((key) => `ssh-ed25519 ${key.toString('base64')}`);
const TARGETS = [
  { host: 'gw.example.org', port: 22 },
  { host: '2001:db8::1', port: 2222 },
  { host: 'gw', port: 2222, alias: 'Cluster' },
];
const SALT = Buffer.alloc(20, 7);
const HASHED = `|1|${SALT.toString('base64')}|${createHmac('sha1', SALT).update('gw.example.org').digest('base64')}`;

export const knownHosts: FuzzTarget = {
  name: 'known-hosts',
  bytesMax: 64 * 1024,
  words: [
    ...WRITTEN,
    HASHED,
    '@revoked ',
    '@cert-authority ',
    '*',
    '?',
    '!',
    ',',
    '[gw]:2222',
    'gw.example.org',
    '\n',
    '|1|',
  ],
  codes: [],
  seeds: () =>
    [
      `gw.example.org ${WRITTEN[0]}\n`,
      `# comment\n\n@revoked * ${WRITTEN[1]}\n@cert-authority *.example.org ${WRITTEN[0]} x\n`,
      `${HASHED} ${WRITTEN[0]}\r\n[2001:db8::1]:2222,!*.net,g?.* ${WRITTEN[1]}\ncluster ${WRITTEN[0]}`,
      `h ssh-rsa AAAA\nh ssh-ed25519 ====\n`,
      `${'*a'.repeat(400)} ${WRITTEN[0]}\n`,
    ].map((text) => Buffer.from(text)),
  run(input) {
    const text = input.toString('utf8');
    const file = parseKnownHosts(text, 'k');
    const lines = text.split('\n').length;
    assert.ok(file.entries.length + file.brokenLines <= lines);
    const kinds = TARGETS.flatMap((target) =>
      KEYS.map((key) => {
        const verdict = checkHostKey([file], target, key);
        if ('line' in verdict && verdict.line !== undefined)
          assert.ok(verdict.line >= 1 && verdict.line <= lines);
        if (verdict.kind === 'known')
          assert.ok(knownKeyTypes([file], target).length > 0 || target.port !== 22);
        // Whatever else the file says, a key that is revoked for everybody is refused.
        const revoked = parseKnownHosts(`@revoked * ssh-ed25519 ${key.toString('base64')}\n${text}`, 'k');
        assert.equal(checkHostKey([revoked], target, key).kind, 'revoked', lookupName(target));
        return verdict.kind[0];
      }),
    );
    return `${kinds.join('')} ${Math.min(3, file.entries.length)} ${Math.min(3, file.brokenLines)}`;
  },
};

export const sshConfig: FuzzTarget = {
  name: 'ssh-config',
  bytesMax: 64 * 1024,
  words: [
    ...[
      'Host ',
      'host=',
      'HostName ',
      'Port ',
      'User ',
      'IdentityFile ',
      'ProxyJump ',
      'Match ',
      'Include ',
      '%h',
      '%%',
    ],
    ...['UserKnownHostsFile ', 'Ciphers ', 'gw', '"', '#', '*', '!', '?', '\n', '\r\n', '\t', '='],
  ],
  codes: [],
  isDeclared: (error) =>
    error instanceof SessionFailed &&
    error.failure.code === 'spec-refused' &&
    isPrintable(error.failure.message),
  seeds: () =>
    [
      'Host gw\n  HostName 192.0.2.1\n  Port = 2222\n  User "a b"\n  IdentityFile ~/.ssh/a\n  IdentityFile b\n',
      'host=g* !gw2\nhostname %h.example.org\nProxyJump a@b:1,c\n# comment\nCiphers aes256-gcm@openssh.com\r\n',
      'UserKnownHostsFile /a /b\nHost *\nMatch exec "true"\n',
      'Include other\n',
    ].map((text) => Buffer.from(text)),
  run(input) {
    const answer = answerFromSubset({ host: 'gw', settings: [['port', '23']] }, input.toString('utf8'), 'f');
    const dump = parseConfigDump(answer);
    assert.deepEqual(dump.get('port'), ['23'], 'a setting of the command line is not the first');
    assert.equal(dump.get('hostname')?.length, 1);
    assert.ok((dump.get('identityfile')?.length ?? 0) >= 1);
    return [...dump.keys()].sort().join(',');
  },
};

const folder = mkdtempSync(path.join(tmpdir(), 'exo-fuzz-key-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A private key in the form of ssh-keygen whose fields are cut at a wrong place. */
const BROKEN = `-----BEGIN OPENSSH PRIVATE KEY-----\n${Buffer.from('openssh-key-v1\0\0\0\0\u0004none\0\0\0\u0004none').toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;

export const sshKey: FuzzTarget = {
  name: 'ssh-key',
  bytesMax: 8 * 1024,
  words: [
    '-----BEGIN ',
    '-----END ',
    'ENCRYPTED ',
    'PRIVATE KEY-----',
    'OPENSSH ',
    'RSA ',
    'Proc-Type: 4,ENCRYPTED\n',
    '\n',
  ],
  codes: [],
  seeds: () => [
    Buffer.from(KEY_PAIR.privateKey),
    Buffer.from(KEY_PAIR.publicKey),
    Buffer.from(BROKEN),
    Buffer.from(`${WRITTEN[0]} me@here\n`),
  ],
  async run(input) {
    const file = path.join(folder, 'key');
    writeFileSync(file, input, { mode: 0o600 });
    const key = await readKeyFile(await loadSsh2(), file);
    if ('publicKey' in key)
      assert.ok(key.publicKey.length > 0 && key.publicKey.length <= LIMITS.sshKeyFileBytesMax);
    return key.kind === 'unusable' ? key.why : key.kind;
  },
};
const KEY_PAIR = await generateKeyPair();
