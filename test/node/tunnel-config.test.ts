/** The tunnels of peers.json as specs: each on its own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePeersFile } from '../../src/discovery/index.js';
import { readTunnels } from '../../src/node/index.js';

const TUNNEL = { ssh: 'user@host', forward: ['50052:localhost:50051'] };

function read(file: unknown) {
  const { peers, tunnels } = parsePeersFile(JSON.stringify(file), 'peers.json');
  return readTunnels(tunnels, peers, '/etc/exo');
}

describe('tunnels of peers.json', () => {
  test('are named after their peer, or by their name at the top level', () => {
    const { specs, faults } = read({
      peers: { mac2: { address: '127.0.0.1:50052', tunnel: TUNNEL }, mac3: { address: '10.0.0.3:1' } },
      tunnels: { gw1: { ssh: 'gw', forward: ['49703:10.0.0.151:50051'], identity: 'key' } },
    });
    assert.deepEqual(faults, []);
    assert.deepEqual(
      specs.map(({ name, peer, source }) => [name, peer, source]),
      [
        ['mac2', 'mac2', 'peers-file'],
        ['gw1', undefined, 'peers-file'],
      ],
    );
    assert.deepEqual(specs[1]?.identity, ['/etc/exo/key'], 'relative names begin at the folder of the file');
  });

  test('that cannot be used cost no other one, and say which it is and why', () => {
    const { specs, faults } = read({
      peers: {
        mac2: { address: '127.0.0.1:50052', tunnel: { ssh: '-oProxyCommand=x', forward: ['1:h:2'] } },
      },
      tunnels: { good: TUNNEL, empty: { ssh: 'host' }, odd: { ssh: 'host', forward: ['x'] } },
    });
    assert.deepEqual(
      specs.map(({ name }) => name),
      ['good'],
    );
    assert.deepEqual(
      faults.map(({ name, error }) => [name, error.code]),
      [
        ['mac2', 'tunnel-spec-invalid'],
        ['empty', 'tunnel-spec-invalid'],
        ['odd', 'tunnel-spec-invalid'],
      ],
    );
    assert.match(faults[0]!.error.message, /^the tunnel of peer "mac2" is not opened: "ssh"/);
    assert.match(faults[2]!.error.message, /^the tunnel "odd" under "tunnels" is not opened: "forward"\[0\]/);
  });

  test('of one name are one: the peer’s counts, and the other is told', () => {
    const { specs, faults } = read({
      peers: { gw: { address: '127.0.0.1:50052', tunnel: TUNNEL } },
      tunnels: { gw: { ssh: 'other', forward: ['1:h:2'] } },
    });
    assert.deepEqual(
      specs.map(({ destination }) => destination.text),
      ['user@host'],
    );
    assert.deepEqual([faults[0]?.name, faults[0]?.error.code], ['gw', 'tunnel-clash']);
  });
});
