/** peers.json in both forms, with comments and tunnels; and the edits that `exo connect` makes in one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  EMPTY_PEERS_FILE,
  parsePeersFile,
  peerAsWritten,
  withoutPeer,
  withPeer,
} from '../../../src/discovery/index.js';
import { ExoError, LIMITS, type Random } from '../../../src/shared/index.js';
import { parseTunnelSpec } from '../../../src/tunnels/index.js';
import { ROOT } from '../../support/processes.js';
import { mutate } from '../mutate.js';
import type { FuzzTarget } from '../target.js';
import { varyJsonInput } from './json-text.js';

const WORDS = [
  ...[
    'peers',
    'tunnels',
    'address',
    'port',
    'priority',
    'device_capabilities',
    'tunnel',
    'ssh',
    'forward',
    'comment',
  ],
  ...['127.0.0.1:50052', '[::1]:1', 'host', '"address":"h:1",', '// x\n', '/* x */', ',', '\r\n', '\ufeff'],
];
const read = (file: string) => readFileSync(`${ROOT}/${file}`);
const FILE = 'f.json';
const ADDED = { address: '127.0.0.1:1', tunnel: { ssh: 'u@h', forward: ['1:localhost:2'] } };

/** The edits leave a file that is accepted, say what they were told, and touch nobody else. */
function checkEdits(text: string): void {
  const before = parsePeersFile(text, FILE);
  const name = before.peers[0]?.id ?? 'mac2';
  const others = (file: string) => parsePeersFile(file, FILE).peers.filter(({ id }) => id !== name);
  const added = withPeer(text, FILE, name, ADDED);
  const entry = peerAsWritten(added, FILE, name);
  assert.equal(entry?.['address'], ADDED.address);
  const tunnel = entry?.['tunnel'] as Record<string, unknown>;
  assert.deepEqual([tunnel['ssh'], tunnel['forward']], [ADDED.tunnel.ssh, ADDED.tunnel.forward]);
  assert.deepEqual(others(added), others(text));
  assert.equal(withPeer(added, FILE, name, ADDED), added, 'the same edit again changes the text');
  const removed = withoutPeer(added, FILE, name);
  assert.equal(peerAsWritten(removed, FILE, name), undefined);
  assert.deepEqual(others(removed), others(text));
}

export const peersFile: FuzzTarget = {
  name: 'peers-file',
  bytesMax: 32 * 1024,
  words: WORDS,
  codes: ['peers-file-invalid'],
  seeds: () => [
    read('peers.example.json'),
    ...['mac1_peers.json', 'remote_peers.json'].map((file) => read(`docs/examples/${file}`)),
    Buffer.from(EMPTY_PEERS_FILE),
    Buffer.from('{"peers":{"a":{"address":"h","port":1},},/* c */}'),
    Buffer.from('\ufeff{\r\n\t"peers": { // x\r\n\t}\r\n}'),
  ],
  /** Comments are lost where the tree is changed, so a second one puts some back. */
  vary(input: Buffer, random: Random) {
    const varied = varyJsonInput(WORDS)(input, random);
    return varied === undefined || random.next() < 0.5
      ? varied
      : mutate(varied, input, ['// x\n', '/**/', ' ', '\n', ','], random, 32 * 1024);
  },
  run(input) {
    const text = input.toString('utf8');
    let tunnels = 0;
    try {
      const { peers, tunnels: shared } = parsePeersFile(text, FILE);
      for (const { address, id } of peers) {
        assert.ok(address.port >= 1 && address.port <= 65_535 && address.host.length > 0);
        assert.ok(id.length >= 1 && id.length <= LIMITS.nodeIdCharsMax);
      }
      for (const written of [...Object.values(shared), ...peers.flatMap(({ tunnel }) => tunnel ?? [])]) {
        tunnels += isTunnel(written) ? 1 : 0;
      }
    } catch (error) {
      if (error instanceof ExoError) assert.match(error.message, /^f\.json:\d+:\d+: ./s);
      throw error;
    }
    checkEdits(text);
    return `${tunnels} tunnels`;
  },
};

function isTunnel(written: unknown): boolean {
  try {
    parseTunnelSpec(written, { source: 'peers-file', homeFolder: '/h', baseFolder: '/b' });
    return true;
  } catch (error) {
    if (error instanceof ExoError && error.code === 'tunnel-spec-invalid') return false;
    throw error;
  }
}
