import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PEERS_SCHEMA, parsePeersFile, readPeersFile } from '../../src/discovery/index.js';
import { ExoError, LIMITS } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';

const ROOT = new URL('../../', import.meta.url);

function refusal(text: string): string {
  try {
    parsePeersFile(text, 'peers.json');
  } catch (error) {
    assert.ok(error instanceof ExoError);
    assert.equal(error.code, 'peers-file-invalid');
    return error.message;
  }
  assert.fail(`accepted: ${text}`);
}

function entry(text: string) {
  const [peer] = parsePeersFile(`{"peers": {"b": ${text}}}`, 'peers.json').peers;
  assert.ok(peer !== undefined);
  return peer;
}

test('peers file takes the form of the seeds, the form with a separate port, and IPv6', () => {
  assert.deepEqual(entry('{"address": "127.0.0.1:49703"}').address, { host: '127.0.0.1', port: 49703 });
  assert.deepEqual(entry('{"address": "10.0.0.2", "port": 50051}').address, {
    host: '10.0.0.2',
    port: 50051,
  });
  assert.deepEqual(entry('{"address": "mini.lan:1", "port": 1}').address, { host: 'mini.lan', port: 1 });
  assert.deepEqual(entry('{"address": "[fd00::1]:7"}').address, { host: 'fd00::1', port: 7 });
  assert.deepEqual(entry('{"address": "fd00::1", "port": 7}').address, { host: 'fd00::1', port: 7 });
});

test('peers file takes comments, trailing commas, a byte order mark, unknown keys and repeated comments', () => {
  const text = `\ufeff{
    // one
    "comment": "x", "comment": "y", "peers": { /* two */
      "b": { "address": "h:1", "note": 1, "note": 2, },
    },
  }`;
  assert.equal(parsePeersFile(text, 'f').peers.length, 1);
});

test('peers file takes capabilities in part and fills in the rest', () => {
  const { capabilities } = entry(
    '{"address": "h:1", "device_capabilities": {"memory": 5, "flops": {"fp16": 2.5}}}',
  );
  assert.deepEqual(capabilities, {
    model: 'Unknown Model',
    chip: 'Unknown Chip',
    memory: 5,
    flops: { fp32: 0, fp16: 2.5, int8: 0 },
  });
  assert.equal('capabilities' in entry('{"address": "h:1"}'), false);
});

test('peers file hands tunnels on as they are written', () => {
  const tunnel = { ssh: 'u@h', forward: ['1:localhost:2'], options: { Compression: true }, later: [1] };
  const peer = entry(`{"address": "h:1", "priority": 9, "tunnel": ${JSON.stringify(tunnel)}}`);
  assert.equal(JSON.stringify(peer.tunnel), JSON.stringify(tunnel));
  assert.equal(peer.priority, 9);
  const file = parsePeersFile(`{"peers": {}, "tunnels": {"gw": ${JSON.stringify(tunnel)}}}`, 'f');
  assert.equal(JSON.stringify(file.tunnels), JSON.stringify({ gw: tunnel }));
});

test('peers file takes a tunnel with several identities and without probes, and names a field of another type', () => {
  const tunnel = { ssh: 'u@h', reverse: ['1:localhost:2'], identity: ['~/.ssh/a', '~/.ssh/b'], probe: false };
  const read = entry(`{"address": "h:1", "tunnel": ${JSON.stringify(tunnel)}}`);
  assert.equal(JSON.stringify(read.tunnel), JSON.stringify(tunnel));
  for (const [field, value] of [
    ['identity', 5],
    ['identity', [5]],
    ['identity', ''],
    ['probe', 'no'],
    ['forward', 'x'],
    ['driver', 'putty'],
    ['options', { Compression: null }],
  ] as const) {
    const message = refusal(
      `{"peers": {}, "tunnels": {"gw": ${JSON.stringify({ ssh: 'u@h', [field]: value })}}}`,
    );
    assert.ok(message.includes(field) && message.includes('gw'), message);
  }
});

const FILES: ReadonlyArray<readonly [file: string, id: string, port: number]> = [
  ['docs/examples/mac1_peers.json', 'mac2', 50052],
  ['docs/examples/mac2_peers.json', 'mac1', 50060],
  ['docs/examples/remote_peers.json', 'remote-node-1', 49703],
];
for (const [file, id, port] of FILES) {
  test(`peers file of the seeds ${file} loads verbatim`, async () => {
    const text = await readFile(new URL(file, ROOT), 'utf8');
    const { peers } = parsePeersFile(text, file);
    assert.deepEqual(
      peers.map((peer) => [peer.id, peer.address]),
      [[id, { host: '127.0.0.1', port }]],
    );
    assert.ok((peers[0]?.capabilities?.memory ?? 0) > 0);
  });
}

test('peers file refusals name file, line, column, reason and way out', async (t) => {
  const cases: ReadonlyArray<readonly [what: string, text: string, expected: RegExp]> = [
    ['an empty file', '', /^peers\.json:1:1: the file is empty; write/],
    ['a missing brace', '{\n  "peers": {', /^peers\.json:2:13: a closing brace } is missing/],
    [
      'a missing comma',
      '{"peers": {\n "a": {"address": "h:1" "port": 1}}}',
      /^peers\.json:2:25: a comma is missing/,
    ],
    ['single quotes', "{'peers': {}}", /^peers\.json:1:2: .*double quotes/],
    ['a list', '[]', /^peers\.json:1:1: must be an object \{ \}, not a list/],
    ['no peers', '{\n}', /^peers\.json:1:1: "peers" is missing; write "peers"/],
    ['peers that are a number', '{"peers": 5}', /^peers\.json:1:11: "peers": must be an object/],
    [
      'an entry without address',
      '{"peers": {\n\n "b": {"adress": "h:1"}}}',
      /^peers\.json:3:7: peer "b": "address" is missing; write "address": "/,
    ],
    [
      'an address without port',
      '{"peers": {\n "b": {"address": "h"}}}',
      /^peers\.json:2:19: peer "b": .*no port; write it as h:50051/,
    ],
    [
      'a port of text',
      '{"peers": {"b": {"address": "h", "port": "1"}}}',
      /:1:42: peer "b" "port": must be a whole number, not the text "1"/,
    ],
    ['a port out of range', '{"peers": {"b": {"address": "h:70000"}}}', /:1:29: peer "b": port 70000/],
    ['port zero', '{"peers": {"b": {"address": "h", "port": 0}}}', /"port": must be >= 1/],
    [
      'two ports that differ',
      '{"peers": {"b": {"address": "h:1", "port": 2}}}',
      /:1:44: peer "b": .*leave one of them out/,
    ],
    ['an address of blanks', '{"peers": {"b": {"address": "a b:1"}}}', /is not an address; write host:port/],
    ['an empty id', '{"peers": {"": {"address": "h:1"}}}', /:1:12: .*1 to 128 printable characters/],
    [
      'an id twice',
      '{"peers": {\n "b": {"address": "h:1"},\n "b": {"address": "h:2"}}}',
      /^peers\.json:3:2: "b" is already there in line 2; remove one/,
    ],
    [
      'an address twice',
      '{"peers": {"b": {"address": "h:1",\n"address": "h:2"}}}',
      /:2:1: "address" is already there in line 1/,
    ],
    ['peers twice', '{"peers": {},\n"peers": {}}', /:2:1: "peers" is already there in line 1/],
    [
      'a tunnel without ssh',
      '{"peers": {"b": {"address": "h:1", "tunnel": {}}}}',
      /:1:46: peer "b" "tunnel": "ssh" is missing; write "ssh": "user@host"/,
    ],
    [
      'a forward that is no text',
      '{"peers": {}, "tunnels": {"g": {"ssh": "h", "forward": ["1:h:1", 2]}}}',
      /:1:66: tunnel "g" "forward.1": must be text/,
    ],
    [
      'an unknown driver',
      '{"peers": {}, "tunnels": {"g": {"ssh": "h", "driver": "x"}}}',
      /must be one of \["openssh","ssh2"\]/,
    ],
    ['a million brackets', '['.repeat(1_000_000), /nested deeper than 32 levels/],
    [
      'a prototype for a name',
      '{"peers": {"__proto__": {"address": "h:1"}}}',
      /"__proto__" cannot be used as a name/,
    ],
    ['two values', '{"peers": {}} {}', /:1:15: the JSON has ended before this/],
  ];
  for (const [what, text, expected] of cases) {
    await t.test(what, () => assert.match(refusal(text), expected));
  }
});

test('peers file of ten thousand peers is read within two seconds', () => {
  const peers = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`node-${index}`, { address: `10.0.0.1:${1 + index}` }]),
  );
  const text = JSON.stringify({ peers }, null, 1);
  const startedAt = performance.now();
  assert.equal(parsePeersFile(text, 'f').peers.length, 10_000);
  assert.ok(performance.now() - startedAt < inTime(2_000));
});

test('peers file that is missing, a folder or too large is refused with what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'exo-peers-'));
  try {
    const refused = (file: string, expected: RegExp) =>
      assert.rejects(readPeersFile(file), (error) => {
        assert.ok(error instanceof ExoError);
        assert.equal(error.code, 'peers-file-unreadable');
        assert.match(error.message, expected);
        return true;
      });
    await refused(join(folder, 'none.json'), /there is no file .*none\.json; make one with \{"peers"/);
    await refused(folder, /is a folder, not a file; name a peers\.json$/);
    await refused('/dev/null', /is a device, not a file|there is no file/);
    const large = join(folder, 'large.json');
    await writeFile(large, `{"peers": {}}${' '.repeat(LIMITS.peersFileBytesMax)}`);
    await refused(large, /is larger than 4194304 bytes/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('peers schema published in docs is the one in the code', async () => {
  const published = await readFile(new URL('docs/schema/peers.schema.json', ROOT), 'utf8');
  assert.equal(JSON.stringify(JSON.parse(published)), JSON.stringify(PEERS_SCHEMA));
});

test('peers example is valid and shows every field of the schema', async () => {
  const text = await readFile(new URL('peers.example.json', ROOT), 'utf8');
  const { peers, tunnels } = parsePeersFile(text, 'peers.example.json');
  assert.ok(peers.length > 1 && Object.keys(tunnels).length > 0);
  const names = new Set<string>();
  const collect = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key === 'properties') for (const name of Object.keys(value as object)) names.add(name);
      collect(value);
    }
  };
  collect(PEERS_SCHEMA);
  assert.ok(names.size >= 20);
  const missing = [...names].filter((name) => !text.includes(`"${name}":`));
  assert.deepEqual(missing, []);
});
