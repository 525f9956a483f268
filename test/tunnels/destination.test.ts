import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDestination, parseDestination, parseJumps } from '../../src/tunnels/index.js';
import { HOSTILE, specRefusal } from './description.js';

const GOOD: ReadonlyArray<readonly [text: string, parts: object, whole: string]> = [
  ['remoteuser@192.168.2.1', { user: 'remoteuser', host: '192.168.2.1' }, 'remoteuser@192.168.2.1'],
  ['gateway1@network1', { user: 'gateway1', host: 'network1' }, 'gateway1@network1'],
  ['mac2', { host: 'mac2' }, 'mac2'],
  ['My_Host-2.lan', { host: 'My_Host-2.lan' }, 'My_Host-2.lan'],
  ['u@h:2222', { user: 'u', host: 'h', port: 2222 }, 'u@h:2222'],
  ['h:22', { host: 'h', port: 22 }, 'h:22'],
  ['ssh://u@h:22', { user: 'u', host: 'h', port: 22 }, 'u@h:22'],
  ['ssh://h/', { host: 'h' }, 'h'],
  ['SSH://u@[::1]:7', { user: 'u', host: '::1', port: 7 }, 'u@[::1]:7'],
  ['u@[fd00::1]', { user: 'u', host: 'fd00::1' }, 'u@[fd00::1]'],
  ['fe80::1%eth0', { host: 'fe80::1%eth0' }, '[fe80::1%eth0]'],
  [
    'first.last@corp.example@bastion',
    { user: 'first.last@corp.example', host: 'bastion' },
    'first.last@corp.example@bastion',
  ],
  ['CORP\\me@h', { user: 'CORP\\me', host: 'h' }, 'CORP\\me@h'],
  ['müller@rechner', { user: 'müller', host: 'rechner' }, 'müller@rechner'],
];

for (const [text, parts, whole] of GOOD) {
  test(`destination ${text} is read, and read again from its parts`, () => {
    assert.deepEqual(parseDestination(text), { ...parts, text });
    assert.equal(formatDestination(parseDestination(text)), whole);
    assert.deepEqual(parseDestination(whole), { ...parts, text: whole });
  });
}

const BAD: ReadonlyArray<readonly [text: string, why: RegExp]> = [
  ['u@-oProxyCommand=x', /host that begins with "-"/],
  ['ssh://-oProxyCommand=x/', /host that begins with "-"/],
  ['ssh://-u@h', /user that begins with "-"/],
  ['[-oX]:22', /host that begins with "-"/],
  ['@h', /no user before it/],
  ['u@', /has no host/],
  ['h:', /the port ""/],
  ['h:0', /the port "0"/],
  ['h:65536', /the port "65536"/],
  ['h:22x', /the port "22x"/],
  ['[::1', /characters that no host name has|no IPv6/],
  ['1:2:3', /no IPv6 address/],
  ['fe80::1%eth0%x', /no IPv6 address/],
  ['h%h', /"%"/],
  ['h*', /pattern character/],
  ['a,b', /pattern character/],
  ['!h', /pattern character/],
  ['exo+jump1', /characters that no host name has/],
  ['ssh://h/path', /a path/],
  ['http://h', /URL of another kind/],
  ['u\\@h', /user with characters/],
  [`${'u'.repeat(256)}@h`, /user with characters/],
  ['h'.repeat(256), /more than 255/],
  ...HOSTILE.map((text) => [text, /^"/] as const),
  ...HOSTILE.filter((text) => text !== '').map((text) => [`u@${text}`, /^"/] as const),
  ...HOSTILE.map((text) => [`${text}@h`, /^"/] as const),
];

test('destination that ssh or a shell would take for more than a host is refused by name', () => {
  for (const [text, why] of BAD)
    assert.match(
      specRefusal(() => parseDestination(text)),
      why,
      text,
    );
});

test('destination with a password is refused without repeating it', () => {
  for (const text of ['u:s3cret@h', 'ssh://u:s3cret@h:22', 'u:s3cret$(x)@h', 'u:s3cret @h']) {
    const message = specRefusal(() => parseDestination(text));
    assert.doesNotMatch(message, /s3cret/);
  }
  assert.match(
    specRefusal(() => parseDestination('u:p@h')),
    /password/,
  );
});

test('jump hosts are read in order, with commas, and are at most eight', () => {
  assert.deepEqual(parseJumps('u@a:1,b,ssh://c').map(formatDestination), ['u@a:1', 'b', 'c']);
  assert.match(
    specRefusal(() => parseJumps('a,,b')),
    /empty jump host/,
  );
  assert.match(
    specRefusal(() => parseJumps('')),
    /empty jump host/,
  );
  assert.match(
    specRefusal(() => parseJumps('a,-oX')),
    /begins with "-"/,
  );
  assert.match(
    specRefusal(() => parseJumps(Array(9).fill('h').join(','))),
    /9 jump hosts/,
  );
});
