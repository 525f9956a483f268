/** Words for descriptions of tunnels: good ones, hostile ones, and random mixtures of both. */
import assert from 'node:assert/strict';
import { ExoError } from '../../src/shared/index.js';
import fc from '../support/properties.js';

/** Each does harm somewhere, were it taken as it is. */
export const HOSTILE: readonly string[] = [
  '-oProxyCommand=touch canary',
  '-F/tmp/x',
  '-',
  '--',
  'a\nProxyCommand touch canary',
  'a\r\nHost *',
  'a\0b',
  '$(touch canary)',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what a hostile word looks like
  '${HOME}',
  '`touch canary`',
  'a;touch canary',
  'a|touch canary',
  'a&touch canary',
  '>canary',
  `"a`,
  `'a`,
  'a b',
  'a\tb',
  '%h',
  '%d/../x',
  '\u2028',
  '\u202eabc',
  '',
  ' ',
  'x'.repeat(5_000),
];

const WORDS: readonly string[] = [
  ...HOSTILE,
  'user',
  'host.example',
  '10.0.0.2',
  '[::1]',
  'fe80::1%eth0',
  'localhost',
  '50052',
  '0',
  '99999',
  ':',
  ':',
  '@',
  '/',
  '/run/a.sock',
  '~/.ssh/id',
  ',',
  '*',
  'ssh://',
  'DOMAIN\\user',
  'yes',
  'aes128-gcm@openssh.com',
];

/** A text glued together of words; most are one clean word of their kind. */
function mixture(...good: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...HOSTILE) },
    {
      weight: 1,
      arbitrary: fc.array(fc.constantFrom(...WORDS), { maxLength: 5 }).map((parts) => parts.join('')),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  );
}

const forwards = fc.array(
  mixture(
    '50052:localhost:50051',
    '127.0.0.1:1:[fd00::1]:2',
    '/run/a:/run/b',
    '*:7:h:8',
    '0:h_1:9',
    ':7:h:8',
  ),
  { minLength: 1, maxLength: 3 },
);

/** Descriptions as a file or a stranger could hold them: some fine, most with a fault in one field or more. */
export const descriptions: fc.Arbitrary<unknown> = fc.record(
  {
    ssh: mixture('remoteuser@192.168.2.1', 'gw', 'ssh://u@h:22/', 'a.b@[fe80::1%en0]:7', 'D\\u@h', 'h:22'),
    forward: forwards,
    reverse: forwards,
    identity: fc.oneof(mixture('~/.ssh/id_ed25519'), fc.array(mixture('/keys/a b', '~/k'), { maxLength: 2 })),
    knownHosts: mixture('~/.ssh/known_hosts', '/k n/own'),
    sshConfig: mixture('~/.ssh/config'),
    jump: mixture('bastion', 'u@a:1,b,[::1]:2'),
    driver: fc.constantFrom('openssh', 'ssh2'),
    options: fc.dictionary(
      mixture('Compression', 'serveraliveinterval', 'Ciphers', 'HostKeyAlias', 'IPQoS'),
      fc.oneof(
        mixture('yes', '10', 'aes128-gcm@openssh.com', 'mac2', 'af21 cs1'),
        fc.integer(),
        fc.boolean(),
      ),
      { maxKeys: 2 },
    ),
    probe: fc.boolean(),
  },
  { requiredKeys: ['ssh', 'forward'] },
);

/** What reading said: its message, which has to be a `tunnel-spec-invalid`. */
export function specRefusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof ExoError, String(error));
    assert.equal(error.code, 'tunnel-spec-invalid');
    assert.match(error.message, /^[^\u0000-\u001f\u007f]+$/);
    return error.message;
  }
  assert.fail('it was accepted');
}
