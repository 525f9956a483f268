import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../src/shared/index.js';
import { findClashes, parseTunnelSpec } from '../../src/tunnels/index.js';

interface Written {
  readonly peer?: string;
  readonly ssh?: string;
  readonly forward?: readonly string[];
  readonly reverse?: readonly string[];
  readonly probe?: boolean;
}

const OWN = [
  { port: 50060, what: 'this node (--node-port)' },
  { port: 52415, what: 'the HTTP API (--chatgpt-api-port)' },
];

function clashes(tunnels: Readonly<Record<string, Written>>, peers: Readonly<Record<string, string>> = {}) {
  const specs = Object.entries(tunnels).map(([name, { peer, ...written }]) =>
    parseTunnelSpec(
      { ssh: 'u@h', ...written },
      { source: 'peers-file', name, ...(peer === undefined ? {} : { peer }) },
    ),
  );
  const found = findClashes({
    specs,
    ownPorts: OWN,
    peers: Object.entries(peers).map(([name, address]) => ({ name, address: parseAddress(address) })),
  });
  for (const clash of found) {
    assert.equal(clash.code, 'tunnel-clash');
    assert.match(clash.message, /: (take|correct|write) /, 'it says the way out');
  }
  return found;
}

const lines = (...args: Parameters<typeof clashes>) =>
  clashes(...args).map(({ severity, tunnel, peer }) =>
    [severity, tunnel ?? '-', ...(peer === undefined ? [] : [peer])].join(' '),
  );

test('clashes of the setups of both seeds are none', () => {
  assert.deepEqual(
    lines(
      { mac2: { peer: 'mac2', forward: ['50052:localhost:50051'], reverse: ['50060:localhost:50060'] } },
      { mac2: '127.0.0.1:50052' },
    ),
    [],
  );
  assert.deepEqual(
    lines(
      {
        gw1: { ssh: 'gateway1@network1', forward: ['49703:192.168.1.10:50051'] },
        gw2: { ssh: 'gateway2@network2', forward: ['49704:192.168.1.10:50051', '49705:192.168.1.11:50051'] },
      },
      { a: '127.0.0.1:49703', b: 'localhost:49704', c: '127.0.0.1:49705', lan: '192.168.1.77:50051' },
    ),
    [],
  );
  assert.deepEqual(lines({}, { a: '127.0.0.1:49703', b: '192.168.1.2:50051' }), []);
});

test('clash of a -L with the API of this node is an error: port 52415 of the first seed', () => {
  const [clash, ...rest] = clashes({ gw: { forward: ['49703:10.0.0.151:50051', '52415:10.0.0.152:50051'] } });
  assert.deepEqual(rest, []);
  assert.equal(clash?.severity, 'error');
  assert.match(clash?.message ?? '', /"-L 52415:10.0.0.152:50051" listens on port 52415 .* the HTTP API/);
});

test('clash of a -L with a port of this node depends on the address it listens on', () => {
  for (const listen of ['', '127.0.0.1:', '[::1]:', '*:', ':', '0.0.0.0:', 'localhost:']) {
    assert.deepEqual(lines({ gw: { forward: [`${listen}50060:h:1`] } }), ['error gw'], listen);
  }
  assert.deepEqual(lines({ gw: { forward: ['10.0.0.5:50060:h:1'] } }), ['warning gw']);
  assert.deepEqual(lines({ gw: { forward: ['0:h:50060', '/run/50060:h:1', '1:localhost:50060'] } }), []);
  // On the far machine the same number is another port.
  assert.deepEqual(lines({ gw: { reverse: ['50060:localhost:50060'] } }), []);
});

test('clash of two -L is an error of the later one, where both cannot listen', () => {
  const two = (a: string, b: string) => lines({ a: { forward: [a] }, b: { ssh: 'u@other', forward: [b] } });
  assert.deepEqual(two('7000:h:1', '7000:h:2'), ['error b']);
  assert.deepEqual(two('127.0.0.1:7000:h:1', 'localhost:7000:h:2'), ['error b']);
  assert.deepEqual(two('10.0.0.5:7000:h:1', '*:7000:h:2'), ['error b']);
  assert.deepEqual(two('/run/a:h:1', '/run/a:h:2'), ['error b']);
  assert.deepEqual(two('127.0.0.1:7000:h:1', '[::1]:7000:h:2'), []);
  assert.deepEqual(two('10.0.0.5:7000:h:1', '127.0.0.1:7000:h:2'), []);
  assert.deepEqual(two('0:h:1', '0:h:2'), []);
  assert.deepEqual(two('/run/a:h:1', '/run/b:h:1'), []);
  assert.deepEqual(lines({ a: { forward: ['7000:h:1', '127.0.0.1:7000:h:2'] } }), ['error a']);
});

test('clash of two -R is an error only on one far machine', () => {
  const R = { reverse: ['7000:localhost:50060'] };
  assert.deepEqual(lines({ a: { ssh: 'u@h', ...R }, b: { ssh: 'v@h:22', ...R } }), ['error b']);
  assert.deepEqual(lines({ a: { ssh: 'u@h', ...R }, b: { ssh: 'u@other', ...R } }), []);
  assert.deepEqual(lines({ a: { ssh: 'u@h', ...R }, b: { ssh: 'u@h:2222', ...R } }), []);
  assert.deepEqual(lines({ a: { ssh: 'u@h', ...R, forward: ['7000:h:1'] } }), []);
});

test('clash of a -R whose target nobody of this node listens on is a warning', () => {
  assert.deepEqual(lines({ a: { reverse: ['50060:localhost:50061'] } }), ['warning a']);
  assert.deepEqual(lines({ a: { reverse: ['50060:127.0.0.1:1'] } }), ['warning a']);
  assert.deepEqual(lines({ a: { reverse: ['50060:nas.lan:5000', '1:/run/x'] } }), []);
  assert.deepEqual(lines({ a: { probe: false, reverse: ['5432:localhost:5432'] } }), []);
});

test('clash of a peer whose address passes by its tunnel is a warning with the address to write', () => {
  const tunnels = { mac2: { peer: 'mac2', forward: ['50052:localhost:50051'] } };
  for (const address of [
    '192.168.2.1:50051',
    '10.1.1.1:50051',
    '172.16.0.2:50051',
    '[fd00::1]:50051',
    'mac2.lan:50051',
  ]) {
    const [clash] = clashes(tunnels, { mac2: address });
    assert.deepEqual([clash?.severity, clash?.tunnel, clash?.peer], ['warning', 'mac2', 'mac2']);
    assert.match(clash?.message ?? '', /passes by its tunnel: write "address": "127\.0\.0\.1:50052"/);
  }
  const [wrong] = clashes(tunnels, { mac2: '127.0.0.1:50051' });
  assert.match(wrong?.message ?? '', /its tunnel does not listen \(it listens on 50052\): write .*50052/);
  // Another tunnel may lead to it, and a tunnel with -R alone is for the other side.
  assert.deepEqual(lines({ ...tunnels, gw: { forward: ['7000:h:1'] } }, { mac2: '127.0.0.1:7000' }), []);
  assert.deepEqual(
    lines({ mac2: { peer: 'mac2', reverse: ['1:localhost:50060'] } }, { mac2: '192.168.2.1:50051' }),
    [],
  );
});

test('clash of a peer without a tunnel of its own is a warning where one leads there, or none listens', () => {
  const gw = { gw: { forward: ['49703:192.168.1.10:50051'] } };
  const [direct] = clashes(gw, { a: '192.168.1.10:50051' });
  assert.deepEqual([direct?.severity, direct?.tunnel], ['warning', 'gw']);
  assert.match(direct?.message ?? '', /the tunnel "gw" leads there: write "address": "127\.0\.0\.1:49703"/);
  const [unserved] = clashes(gw, { a: '127.0.0.1:49704' });
  assert.deepEqual([unserved?.severity, unserved?.tunnel, unserved?.peer], ['warning', null, 'a']);
  assert.match(unserved?.message ?? '', /no tunnel listens \(they listen on 49703\)/);
  const [self] = clashes({}, { a: '127.0.0.1:52415' });
  assert.match(self?.message ?? '', /which the HTTP API .* uses/);
});

test('clashes that are errors come first', () => {
  assert.deepEqual(
    lines({ a: { reverse: ['1:localhost:2'] }, b: { forward: ['52415:h:1'] } }, { x: '127.0.0.1:9' }),
    ['error b', 'warning a', 'warning - x'],
  );
});
