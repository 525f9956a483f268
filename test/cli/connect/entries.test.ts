/** Entries that exo connect writes: which port they have, what stays of what people wrote, and the way back. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import {
  choosePort,
  entryBefore,
  forwardsOf,
  saysNearEntry,
  withoutNearEntry,
  writeNearEntry,
} from '../../../src/cli/connect/near-entry.js';
import type { NearNode } from '../../../src/cli/connect/near-node.js';
import { loopbackPort, portsOf } from '../../../src/cli/connect/peer-entries.js';
import {
  createPeersFile,
  editPeersFile,
  removeEmptyPeersFile,
  restorePeersFile,
} from '../../../src/cli/connect/peers-file-store.js';
import { parsePeersFile, withPeer } from '../../../src/discovery/index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'exo-entries-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
function fileWith(text: string): string {
  const file = path.join(folder, `${++count}.json`);
  writeFileSync(file, text);
  return file;
}
const WORDS = { ssh: 'me@far:2222', identity: '/k' };
const nearOf = (peersFile: string) =>
  ({
    id: 'mac1',
    nodeHost: '127.0.0.1',
    nodePort: 50060,
    peersFile,
    api: { host: '127.0.0.1', port: 1 },
  }) as NearNode;
const entry = {
  far: { id: 'mac2', nodeHost: '127.0.0.1', nodePort: 50051 },
  words: WORDS,
  nearPort: 50052,
  farPort: 50061,
};

test('the entry says address and tunnel in the words of ssh; taken back, the file is as it was', () => {
  const text = '{\n  // mine\n  "peers": {\n    "x": { "address": "h:1" } // x\n  }\n}\n';
  const near = nearOf(fileWith(text));
  const undo = writeNearEntry(near, entry, null);
  const [, mac2] = parsePeersFile(readFileSync(near.peersFile, 'utf8'), 'f').peers;
  assert.deepEqual([mac2!.id, mac2!.address], ['mac2', { host: '127.0.0.1', port: 50052 }]);
  assert.deepEqual(structuredClone(mac2!.tunnel), {
    ssh: 'me@far:2222',
    forward: ['50052:127.0.0.1:50051'],
    reverse: ['50061:127.0.0.1:50060'],
    identity: '/k',
  });
  assert.ok(saysNearEntry(near, entry));
  assert.ok(!saysNearEntry(near, { ...entry, nearPort: 50053 }));
  undo();
  assert.equal(readFileSync(near.peersFile, 'utf8'), text);
});

test('an entry that a person wrote gets its address and keys back', () => {
  const text = '{"peers": {"mac2": {"address": "192.168.2.1", "port": 50051, "owner": "me"}}}';
  const near = nearOf(fileWith(text));
  const before = entryBefore(near, 'mac2', WORDS);
  const undo = writeNearEntry(near, entry, before);
  // Somebody else changes the file meanwhile: what they did stays.
  editPeersFile(near.peersFile, (now, file) => withPeer(now, file, 'other', { address: 'h:1' }));
  undo();
  const peers = parsePeersFile(readFileSync(near.peersFile, 'utf8'), 'f').peers;
  assert.deepEqual(
    peers.map(({ id, address, tunnel }) => [id, address.host, address.port, tunnel]),
    [
      ['mac2', '192.168.2.1', 50051, undefined],
      ['other', 'h', 1, undefined],
    ],
  );
  assert.ok(readFileSync(near.peersFile, 'utf8').includes('"owner": "me"'));
  assert.equal(withoutNearEntry('{"peers": {}}', 'f', 'mac2', before), '{"peers": {}}');
});

test('a tunnel to somewhere else is not taken over', () => {
  const near = nearOf(
    fileWith('{"peers": {"mac2": {"address": "127.0.0.1:1", "tunnel": {"ssh": "other"}}}}'),
  );
  assert.throws(() => entryBefore(near, 'mac2', WORDS), /has a tunnel to mac2 through other already/);
});

test('the port of an earlier run is kept, another one is free and nobody else’s', async () => {
  const near = nearOf(fileWith('{"peers": {}}'));
  writeNearEntry(near, { ...entry, nearPort: 51234 }, null);
  const before = entryBefore(near, 'mac2', WORDS);
  assert.equal(await choosePort(near, before, new Set()), 51234);
  assert.notEqual(await choosePort(near, before, new Set([51234])), 51234);
  assert.notEqual(
    await choosePort(near, { address: '127.0.0.1:51234' }, new Set()),
    51234,
    'no tunnel of ours',
  );
});

test('without a way back there is no -R', () => {
  assert.deepEqual(forwardsOf(nearOf('f'), { ...entry, farPort: null }), {
    forward: ['50052:127.0.0.1:50051'],
    reverse: [],
  });
  const v6 = { ...entry, far: { ...entry.far, nodeHost: '::1' } };
  assert.deepEqual(forwardsOf(nearOf('f'), v6).forward, ['50052:[::1]:50051']);
});

test('ports of a file: loopback addresses and the near ends of -L', () => {
  const ports = portsOf(
    parsePeersFile(
      JSON.stringify({
        peers: {
          a: { address: '127.0.0.1:1001' },
          b: { address: '10.0.0.1:1002', tunnel: { ssh: 'h', forward: ['1003:localhost:1004'] } },
        },
        tunnels: { t: { ssh: 'h', forward: ['127.0.0.1:1005:x:1006'] } },
      }),
      'f',
    ),
  );
  for (const port of [1001, 1003, 1005]) assert.ok(ports.has(port), String(port));
  assert.ok(!ports.has(1002));
  assert.equal(loopbackPort({ address: 'localhost', port: 7 }), 7);
  assert.equal(loopbackPort({ address: '192.168.1.2:7' }), undefined);
  assert.equal(loopbackPort({ address: 5 }), undefined);
});

test('a peers file keeps its mode and its link, and is not touched where nothing changes', () => {
  const file = fileWith('{"peers": {}}');
  chmodSync(file, 0o640);
  const link = path.join(folder, 'link.json');
  symlinkSync(file, link);
  editPeersFile(link, (text, name) => withPeer(text, name, 'a', { address: 'h:1' }));
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(statSync(file).mode & 0o777, 0o640);
  const stamp = statSync(file, { bigint: true });
  const edited = editPeersFile(file, (text, name) => withPeer(text, name, 'a', { address: 'h:1' }));
  assert.deepEqual(
    [statSync(file, { bigint: true }).ino, statSync(file, { bigint: true }).mtimeNs],
    [stamp.ino, stamp.mtimeNs],
  );
  restorePeersFile(file, edited, () => assert.fail('nothing was changed'));
});

test('a file that was made for this goes again, unless somebody has used it', () => {
  const file = path.join(folder, 'new', 'peers.json');
  assert.ok(createPeersFile(file));
  assert.ok(!createPeersFile(file));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  editPeersFile(file, (text, name) => withPeer(text, name, 'a', { address: 'h:1' }));
  removeEmptyPeersFile(file);
  assert.ok(statSync(file).isFile());
  writeFileSync(file, '{\n  "peers": {}\n}\n');
  removeEmptyPeersFile(file);
  assert.equal(statSync(file, { throwIfNoEntry: false }), undefined);
});
