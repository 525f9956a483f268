import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parsePeersFile } from '../../src/discovery/index.js';
import { ExoError, LIMITS } from '../../src/shared/index.js';
import {
  describeSpec,
  parseTunnelSpec,
  SPEC_FIELDS,
  sameSpec,
  specFromFlags,
  type TunnelFlags,
  type TunnelSpec,
  userTextOf,
  userWordsOf,
} from '../../src/tunnels/index.js';
import fc from '../support/properties.js';
import { propertyRuns } from '../support/scale.js';
import { descriptions, HOSTILE, specRefusal } from './description.js';

const ROOT = new URL('../../', import.meta.url);
const CONTEXT = { source: 'peers-file', homeFolder: '/home/u' } as const;
const SEED = {
  ssh: 'remoteuser@192.168.2.1',
  forward: ['50052:localhost:50051'],
  reverse: ['50060:localhost:50060'],
};
const parse = (written: unknown) => parseTunnelSpec(written, CONTEXT);

test('spec of the seed is read as it stands in peers.json', () => {
  assert.deepEqual(parseTunnelSpec(SEED, { ...CONTEXT, name: 'mac2', peer: 'mac2' }), {
    name: 'mac2',
    source: 'peers-file',
    peer: 'mac2',
    destination: { user: 'remoteuser', host: '192.168.2.1', text: 'remoteuser@192.168.2.1' },
    forward: [
      {
        listen: { kind: 'tcp', host: 'localhost', port: 50052 },
        target: { kind: 'tcp', host: 'localhost', port: 50051 },
        text: '50052:localhost:50051',
      },
    ],
    reverse: [
      {
        listen: { kind: 'tcp', host: 'localhost', port: 50060 },
        target: { kind: 'tcp', host: 'localhost', port: 50060 },
        text: '50060:localhost:50060',
      },
    ],
    jump: [],
    identity: [],
    options: {},
    probe: true,
  });
});

test('spec with every field is read, with names of files made whole', () => {
  const spec = parse({
    ...SEED,
    identity: ['~/.ssh/id_ed25519', '/keys/of my own/id'],
    knownHosts: '~/.ssh/known_hosts',
    sshConfig: '/etc/own config',
    jump: 'bastion,u@b:2222',
    driver: 'ssh2',
    options: { ServerAliveInterval: 10 },
    probe: false,
    comment: 'unknown keys are for people',
  });
  assert.deepEqual(spec.identity, ['/home/u/.ssh/id_ed25519', '/keys/of my own/id']);
  assert.equal(spec.knownHosts, '/home/u/.ssh/known_hosts');
  assert.equal(spec.sshConfig, '/etc/own config');
  assert.deepEqual(
    spec.jump.map(({ text }) => text),
    ['bastion', 'u@b:2222'],
  );
  assert.equal(spec.driver, 'ssh2');
  assert.deepEqual(spec.options, { ServerAliveInterval: '10' });
  assert.equal(spec.probe, false);
  assert.equal(spec.name, SEED.ssh);
  assert.deepEqual(parse({ ...SEED, identity: '~/k' }).identity, ['/home/u/k']);
});

test('spec from the tunnels of the published example is read', async () => {
  const file = parsePeersFile(
    await readFile(new URL('peers.example.json', ROOT), 'utf8'),
    'peers.example.json',
  );
  const written = [...file.peers.flatMap(({ tunnel }) => tunnel ?? []), ...Object.values(file.tunnels)];
  assert.equal(written.length, 2);
  for (const one of written) assert.ok(parse(one).forward.length > 0);
  const schema = JSON.parse(await readFile(new URL('docs/schema/peers.schema.json', ROOT), 'utf8'));
  assert.deepEqual(Object.keys(schema.definitions.tunnel.properties), [...SPEC_FIELDS]);
});

const BAD: ReadonlyArray<readonly [written: unknown, why: RegExp]> = [
  [undefined, /a tunnel is an object such as/],
  ['user@host', /a tunnel is an object such as/],
  [[SEED], /a tunnel is an object such as/],
  [{ forward: SEED.forward }, /^"ssh" is missing.*user@host/],
  [{ ...SEED, ssh: 5 }, /^"ssh" must be a text/],
  [{ ssh: 'u@h' }, /^"forward" and "reverse" are both missing/],
  [{ ssh: 'u@h', foward: ['1:h:2'] }, /"foward" looks like "forward"/],
  [{ ...SEED, forward: { a: 1 } }, /^"forward" must be a list of texts, as of ssh -L/],
  [{ ...SEED, forward: ['1:h:2', 7] }, /^"forward\[1\]" must be a text|^"forward"\[1\] must be a text/],
  [{ ...SEED, reverse: ['1080'] }, /^"reverse"\[0\]: "1080" has no target, which ssh takes for a dynamic/],
  [{ ...SEED, forward: ['1:h:2', 'localhost:1:h:2'] }, /"localhost:1:h:2" twice/],
  [{ ...SEED, identity: 'id_rsa' }, /^"identity": "id_rsa" is not a whole path/],
  [{ ...SEED, identity: '~root/id' }, /home of somebody else/],
  [{ ...SEED, identity: '~/.ssh/' }, /is a folder/],
  [{ ...SEED, knownHosts: '/dev/null' }, /^"knownHosts": "\/dev\/null" would make every host unknown/],
  [{ ...SEED, knownHosts: 'none' }, /would make every host unknown/],
  [{ ...SEED, jump: ['a'] }, /^"jump" must be a text/],
  [{ ...SEED, jump: 'a,-oX' }, /^"jump": "-oX" begins with "-"/],
  [{ ...SEED, driver: 'putty' }, /^"driver" must be "openssh" or "ssh2"/],
  [{ ...SEED, probe: 'no' }, /^"probe" must be true or false/],
  [{ ...SEED, options: { ProxyCommand: 'x' } }, /^"options": ProxyCommand: ProxyCommand is refused: it runs/],
];

for (const [written, why] of BAD) {
  test(`spec is refused by field: ${why.source}`, () => {
    assert.match(
      specRefusal(() => parse(written)),
      why,
    );
  });
}

test('spec with a hostile word in any field is refused, and the field is named', () => {
  for (const word of HOSTILE) {
    const fields: ReadonlyArray<readonly [field: string, written: object]> = [
      ['ssh', { ...SEED, ssh: word }],
      ['ssh', { ...SEED, ssh: `u@${word}` }],
      ['forward', { ...SEED, forward: [word] }],
      ['reverse', { ...SEED, reverse: [word] }],
      ['jump', { ...SEED, jump: word }],
      ['jump', { ...SEED, jump: `a,${word}` }],
      ...(word === 'a b' ? [] : [['identity', { ...SEED, identity: [word] }] as const]),
      ...(word === 'a b' ? [] : [['knownHosts', { ...SEED, knownHosts: word }] as const]),
      ...(word === 'a b' ? [] : [['sshConfig', { ...SEED, sshConfig: word }] as const]),
      ['options', { ...SEED, options: { [word]: 'yes' } }],
      ['options', { ...SEED, options: { HostKeyAlias: word } }],
    ];
    for (const [field, written] of fields) {
      assert.ok(specRefusal(() => parse(written)).startsWith(`"${field}"`), `${field}: ${word}`);
    }
  }
});

test('spec has at most so many forwards, and a name that is an id', () => {
  const many = (count: number, from: number) => Array.from({ length: count }, (_, i) => `${from + i}:h:1`);
  const half = LIMITS.tunnelForwardsMax / 2;
  parse({ ssh: 'h', forward: many(half, 1), reverse: many(half, 1) });
  const message = specRefusal(() => parse({ ssh: 'h', forward: many(half + 1, 1), reverse: many(half, 1) }));
  assert.match(message, /have 65 entries; at most 64/);
  assert.match(
    specRefusal(() => parse({ ssh: 'h', forward: many(65, 1) })),
    /has 65 entries/,
  );
  for (const name of ['', 'a\nb', 'x'.repeat(LIMITS.nodeIdCharsMax + 1)]) {
    assert.match(
      specRefusal(() => parseTunnelSpec(SEED, { ...CONTEXT, name })),
      /name of the tunnel/,
    );
  }
});

test('spec from the flags of ssh is the one from peers.json', () => {
  const flags: TunnelFlags = {
    destination: '192.168.2.1',
    l: 'remoteuser',
    p: '2222',
    L: ['50052:localhost:50051'],
    R: ['50060:localhost:50060'],
    J: 'bastion',
    i: ['keys/id'],
    F: '~/own',
    o: ['serveraliveinterval=10', 'Compression yes', 'UserKnownHostsFile=~/kh', 'Compression=no'],
    name: 'mac2',
    driver: 'openssh',
    probe: false,
  };
  const folders = { homeFolder: '/home/u', baseFolder: '/home/u/work' };
  const written = {
    ssh: 'remoteuser@192.168.2.1:2222',
    forward: SEED.forward,
    reverse: SEED.reverse,
    jump: 'bastion',
    identity: '/home/u/work/keys/id',
    sshConfig: '~/own',
    knownHosts: '~/kh',
    options: { ServerAliveInterval: 10, Compression: true },
    driver: 'openssh',
    probe: false,
  };
  const spec = specFromFlags(flags, folders);
  assert.deepEqual(spec, parseTunnelSpec(written, { ...folders, source: 'command', name: 'mac2' }));
  assert.equal(specFromFlags({ destination: 'u@h:7', p: 7, l: 'u', L: ['1:h:2'] }).name, 'u@h:7');
});

test('spec from flags is refused by flag', () => {
  const bad: ReadonlyArray<readonly [flags: TunnelFlags, why: RegExp]> = [
    [{ destination: 'h' }, /^-L and -R are both missing/],
    [{ destination: '-oX', L: ['1:h:2'] }, /^destination: "-oX" begins/],
    [{ destination: 'h', L: ['1'] }, /^-L\[0\]: "1" has no target/],
    [{ destination: 'h', R: ['1080'] }, /^-R\[0\]: .*SOCKS/],
    [{ destination: 'h', L: ['1:h:2'], p: 0 }, /^-p: /],
    [{ destination: 'h:22', L: ['1:h:2'], p: 23 }, /^-p: .*say it once/],
    [{ destination: 'a@h', L: ['1:h:2'], l: 'b' }, /^-l: .*say it once/],
    [{ destination: 'h', L: ['1:h:2'], l: '-x' }, /^-l: /],
    [{ destination: 'h', L: ['1:h:2'], o: ['ProxyCommand=touch x'] }, /^-o: ProxyCommand: .*refused/],
    [{ destination: 'h', L: ['1:h:2'], o: ['ProxyCommand touch x'] }, /^-o: ProxyCommand: .*refused/],
    [{ destination: 'h', L: ['1:h:2'], o: ['"ProxyCommand"=x'] }, /^-o: write it as ssh does/],
    [
      { destination: 'h', L: ['1:h:2'], o: ['UserKnownHostsFile=/dev/null'] },
      /^-o UserKnownHostsFile: .*unknown/,
    ],
    [{ destination: 'h', L: ['1:h:2'], o: ['Compression'] }, /^-o: write it as ssh does/],
    [{ destination: 'h', L: ['1:h:2'], i: ['id'] }, /^-i\[0\]: "id" is not a whole path/],
    [{ destination: 'h', L: ['1:h:2'], driver: 'x' }, /^--driver must be/],
  ];
  for (const [flags, why] of bad)
    assert.match(
      specRefusal(() => specFromFlags(flags)),
      why,
    );
});

test('spec is shown in words that a person can paste', () => {
  assert.equal(
    userTextOf(
      parse({
        ...SEED,
        ssh: 'u@h:7',
        identity: '~/my key',
        knownHosts: '~/k h',
        options: { IPQoS: 'af21 cs1' },
      }),
    ),
    "ssh -N -i '/home/u/my key' -o 'IPQoS=af21 cs1' -o 'UserKnownHostsFile=\"/home/u/k h\"' " +
      '-L 50052:localhost:50051 -R 50060:localhost:50060 -p 7 u@h',
  );
});

test('specs are the same when all that ssh would notice is equal', () => {
  const spec = parse({ ...SEED, options: { Compression: true, HashKnownHosts: false } });
  assert.ok(sameSpec(spec, parse({ ...SEED, options: { HashKnownHosts: false, Compression: true } })));
  for (const other of [
    { ...SEED },
    { ...SEED, ssh: 'remoteuser@192.168.2.2' },
    { ...SEED, reverse: [] },
    { ...SEED, probe: false },
    { ...SEED, identity: '~/k' },
  ]) {
    assert.equal(sameSpec(spec, parse(other)), false);
  }
  assert.ok(sameSpec(spec, { ...spec, source: 'peers-file', peer: 'mac2' }));
});

/** The words of `userWordsOf` as a command line would hand them over. */
function flagsOf(words: readonly string[], spec: TunnelSpec): TunnelFlags {
  const all = (letter: string) => words.filter((_, index) => words[index - 1] === `-${letter}`);
  const one = (letter: string) => all(letter)[0];
  const [F, J, p] = [one('F'), one('J'), one('p')];
  return {
    destination: words.at(-1) ?? '',
    L: all('L'),
    R: all('R'),
    i: all('i'),
    o: all('o'),
    ...(F === undefined ? {} : { F }),
    ...(J === undefined ? {} : { J }),
    ...(p === undefined ? {} : { p }),
    name: spec.name,
    probe: spec.probe,
    ...(spec.driver === undefined ? {} : { driver: spec.driver }),
  };
}

test('spec that was accepted goes round through its description and through the words of ssh', () => {
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(descriptions, (written) => {
      let spec: TunnelSpec;
      try {
        spec = parseTunnelSpec(written, { ...CONTEXT, source: 'command' });
      } catch (error) {
        assert.ok(error instanceof ExoError && error.code === 'tunnel-spec-invalid', String(error));
        refused += 1;
        return;
      }
      accepted += 1;
      const context = { source: 'command', homeFolder: '/nowhere', name: spec.name } as const;
      assert.ok(sameSpec(parseTunnelSpec(JSON.parse(JSON.stringify(describeSpec(spec))), context), spec));
      const again = specFromFlags(flagsOf(userWordsOf(spec), spec), { homeFolder: '/nowhere' });
      assert.deepEqual({ ...again, destination: null }, { ...spec, destination: null });
      const { text: _text, ...place } = spec.destination;
      assert.deepEqual({ ...again.destination, text: '' }, { ...place, text: '' });
    }),
    { numRuns: propertyRuns(3_000) },
  );
  assert.ok(accepted > 100 && refused > 100, `${accepted} accepted, ${refused} refused`);
});
