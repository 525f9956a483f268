/** Descriptions of tunnels, as JSON and as flags of ssh; and their words: destinations, jump hosts, forwards, addresses. */
import assert from 'node:assert/strict';
import { ExoError, formatAddress, parseAddress, type Random } from '../../../src/shared/index.js';
import {
  describeSpec,
  formatDestination,
  formatForward,
  parseDestination,
  parseForward,
  parseJumps,
  parseTunnelSpec,
  sameSpec,
  specFromFlags,
  type TunnelFlags,
  type TunnelSpec,
  userWordsOf,
} from '../../../src/tunnels/index.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, keysOf, varyJsonInput } from './json-text.js';

const FOLDERS = { homeFolder: '/h', baseFolder: '/b' };
const WORDS = [
  ...[
    'ssh',
    'forward',
    'reverse',
    'identity',
    'knownHosts',
    'sshConfig',
    'jump',
    'driver',
    'options',
    'probe',
  ],
  ...[
    'user@host',
    'ssh://u@[fe80::1%eth0]:22',
    '50052:localhost:50051',
    '/run/a.sock:/run/b.sock',
    '*:1:[::1]:2',
  ],
  ...[
    'ProxyCommand',
    'ServerAliveInterval',
    'Ciphers',
    'StrictHostKeyChecking',
    'no',
    'ssh2',
    'openssh',
    '~/.ssh/id',
  ],
];

/** Nothing of a description may become an option or a second word for ssh or a shell. */
function checkWords(spec: TunnelSpec): void {
  const words = userWordsOf(spec);
  const host = words.at(-1)!;
  assert.ok(!host.startsWith('-'), `the destination "${host}" is an option`);
  for (const word of words) assert.doesNotMatch(word, /[\0\r\n`]|\$\(|\$\{/);
}

function fromJson(text: string): TunnelSpec {
  let written: unknown;
  try {
    written = JSON.parse(text);
  } catch {
    throw new ExoError('tunnel-spec-invalid', 'not JSON');
  }
  const flags = written as TunnelFlags;
  if (
    typeof written === 'object' &&
    written !== null &&
    typeof flags.destination === 'string' &&
    isFlags(flags)
  ) {
    return specFromFlags(flags, FOLDERS);
  }
  return parseTunnelSpec(written, { source: 'command', ...FOLDERS });
}

/** As the command line hands them over: texts and lists of texts. */
function isFlags(flags: TunnelFlags): boolean {
  const isText = (value: unknown) => value === undefined || typeof value === 'string';
  const isList = (value: unknown) => value === undefined || (Array.isArray(value) && value.every(isText));
  return (
    [flags.J, flags.F, flags.l, flags.p, flags.name, flags.driver].every(isText) &&
    [flags.L, flags.R, flags.i, flags.o].every(isList) &&
    (flags.probe === undefined || typeof flags.probe === 'boolean')
  );
}

export const tunnelSpec: FuzzTarget = {
  name: 'tunnel-spec',
  bytesMax: 16 * 1024,
  words: WORDS,
  codes: ['tunnel-spec-invalid'],
  seeds: () =>
    jsonSeeds(
      { ssh: 'u@h:22', forward: ['50052:localhost:50051'], reverse: ['50060:localhost:50060'] },
      {
        ssh: 'ssh://u@[2001:db8::1]:2222',
        forward: '127.0.0.1:0:/run/x.sock',
        identity: ['~/.ssh/id', 'rel/id'],
        knownHosts: '/k',
        sshConfig: '~/c',
        jump: 'a@b:1,c',
        driver: 'ssh2',
        options: { serveraliveinterval: 10, Compression: true, IPQoS: 'af21 cs1' },
        probe: false,
      },
      {
        destination: 'u@h',
        L: ['1:h:2'],
        R: ['/a:/b'],
        o: ['Ciphers=aes128-gcm@openssh.com', 'UserKnownHostsFile "/k h"'],
        p: '22',
        l: 'u',
        J: 'j',
        i: ['/i'],
        name: 'n',
        probe: false,
      },
    ),
  vary: varyJsonInput(WORDS),
  run(input) {
    const spec = fromJson(input.toString('utf8'));
    checkWords(spec);
    const description = describeSpec(spec);
    const again = parseTunnelSpec(JSON.parse(JSON.stringify(description)), {
      source: 'command',
      name: spec.name,
      ...FOLDERS,
    });
    assert.ok(sameSpec(again, spec), 'described and read again it is another tunnel');
    return keysOf(description);
  },
};

/** The first character says which word it is. */
const GRAMMARS: Readonly<Record<string, (text: string) => unknown>> = {
  d: (text) => {
    const destination = parseDestination(text);
    const again = parseDestination(formatDestination(destination));
    assert.deepEqual({ ...again, text }, destination);
    return destination;
  },
  j: (text) => {
    const jumps = parseJumps(text);
    assert.deepEqual(
      parseJumps(jumps.map(formatDestination).join(',')).map(formatDestination),
      jumps.map(formatDestination),
    );
    return jumps[0];
  },
  l: (text) => forward(text, 'L'),
  r: (text) => forward(text, 'R'),
  a: (text) => {
    const address = parseAddress(text, 50_051);
    assert.deepEqual(parseAddress(formatAddress(address)), address);
    return address;
  },
};

function forward(text: string, kind: 'L' | 'R'): unknown {
  const read = parseForward(text, kind);
  const written = formatForward(read);
  assert.equal(formatForward(parseForward(written, kind)), written);
  return { [read.listen.kind]: 1, [`to-${read.target.kind}`]: 1 };
}

const SAMPLES = [
  ...[
    'duser@host:22',
    'dssh://u@h:1/',
    'd[fe80::1%eth0]:22',
    'd2001:db8::1',
    'dDOM\\user@host',
    'djürgen@bücher.de',
  ],
  ...[
    'ja,b@c:1,[::1]:2',
    'l50052:localhost:50051',
    'l[::1]:0:[fe80::1]:80',
    'l*:1:h:2',
    'l:1:h:2',
    'l/a:/b',
    'l1:/s',
  ],
  ...['r0:localhost:1', 'r/s:h:1', 'r1', 'ahost:1', 'a[::1]:2', 'a::1', 'ahost', 'a[fe80::1%lo]'],
];

export const sshWords: FuzzTarget = {
  name: 'ssh-words',
  bytesMax: 4 * 1024,
  words: [
    ':',
    '[',
    ']',
    '@',
    'ssh://',
    '::1',
    '/',
    '~',
    '%',
    '*',
    ',',
    '22',
    '65535',
    '65536',
    '0',
    'localhost',
  ],
  codes: ['tunnel-spec-invalid', 'candidate-invalid'],
  seeds: () => SAMPLES.map((sample) => Buffer.from(sample)),
  /** The same word as another kind of word. */
  vary(input: Buffer, random: Random) {
    const kinds = Object.keys(GRAMMARS);
    const kind = kinds[Math.floor(random.next() * kinds.length)]!;
    return Buffer.concat([Buffer.from(kind), input.subarray(1)]);
  },
  run(input) {
    const text = input.toString('utf8');
    const read = GRAMMARS[text[0] ?? ''];
    return read === undefined ? 'no word' : `${text[0]} ${keysOf(read(text.slice(1)))}`;
  },
};
