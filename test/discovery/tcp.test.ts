import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { encodeAnnounce } from '../../src/discovery/announce.js';
import type { LocalInterface } from '../../src/discovery/interfaces.js';
import { type TcpComponents, TcpDiscovery } from '../../src/discovery/tcp.js';
import {
  type Clock,
  ExoError,
  LIMITS,
  silentLogger,
  systemClock,
  systemRandom,
  VirtualClock,
} from '../../src/shared/index.js';
import { freePorts } from '../support/ports.js';
import { CAPABILITIES, LOOPBACK, RecordingSink, selfOf } from './fixtures.js';

interface Parts extends Partial<TcpComponents> {
  readonly nodeId: string;
  readonly listenPort: number;
  readonly broadcastPort: number;
  readonly nodePort?: number;
  readonly peerHosts?: readonly string[];
}

function tcpNode(t: TestContext, parts: Parts) {
  const sink = new RecordingSink();
  const { nodeId, listenPort, broadcastPort, nodePort, peerHosts, ...components } = parts;
  const tcp = new TcpDiscovery(
    { listenPort, broadcastPort, discoveryTimeoutMs: 30_000 },
    {
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      self: selfOf(nodeId, nodePort, peerHosts),
      sink,
      interfaces: () => [LOOPBACK],
      neighbours: async () => [],
      knownHosts: () => [],
      ...components,
    },
  );
  t.after(() => tcp.stop());
  return { tcp, sink };
}

/** A node that listens and, because its broadcast port is its own, asks nobody on this machine. */
async function listeningNode(t: TestContext, clock: Clock = systemClock) {
  const [port] = (await freePorts(1)) as [number];
  const node = tcpNode(t, { nodeId: 'a', listenPort: port, broadcastPort: port, clock });
  await node.tcp.start();
  return { ...node, port };
}

/** Everything that the other side says until it closes. */
async function listenTo(socket: Socket): Promise<string> {
  let said = '';
  socket.on('data', (chunk) => {
    said += chunk.toString();
  });
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return said;
}

const ANNOUNCE = encodeAnnounce({ nodeId: 'b', nodePort: 50062, capabilities: CAPABILITIES });

test('tcp: two nodes on one host with crossed ports find each other', async (t) => {
  const [x, y] = (await freePorts(2)) as [number, number];
  const a = tcpNode(t, { nodeId: 'a', listenPort: x, broadcastPort: y, nodePort: 50051 });
  const b = tcpNode(t, { nodeId: 'b', listenPort: y, broadcastPort: x, nodePort: 50052 });
  const startedAt = performance.now();
  await a.tcp.start();
  await b.tcp.start();
  await Promise.all([
    a.sink.until(() => a.sink.offers.length > 0, 15_000),
    b.sink.until(() => b.sink.offers.length > 0, 15_000),
  ]);
  t.diagnostic(`found after ${Math.round(performance.now() - startedAt)} ms`);
  assert.deepEqual(a.sink.offers[0], {
    key: 'tcp:b@127.0.0.1:50052',
    module: 'tcp',
    address: { host: '127.0.0.1', port: 50052 },
    claimedId: 'b',
    capabilities: CAPABILITIES,
    description: 'TCP (127.0.0.1)',
    priority: 4,
    configured: false,
  });
  assert.equal(b.sink.offers[0]?.claimedId, 'a');
  assert.match(b.tcp.describe(), /^listens on port \d+; asked \d+ times on port \d+, \d answers/);
  await a.tcp.stop();
  await a.tcp.stop();
});

test('tcp: an announce that arrives byte by byte is answered as one, without a newline', async (t) => {
  const { port, sink } = await listeningNode(t);
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  const answer = listenTo(socket);
  for (const byte of ANNOUNCE) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const said = await answer;
  assert.deepEqual(JSON.parse(said), {
    type: 'announce',
    node_id: 'a',
    grpc_port: 50051,
    device_capabilities: CAPABILITIES,
  });
  assert.ok(said.endsWith('}'));
  assert.equal(sink.offers[0]?.address.port, 50062);
});

test('tcp: a node that moved to another port is offered there', async (t) => {
  const { port, sink } = await listeningNode(t);
  for (const nodePort of [50062, 50063]) {
    const socket = connect(port, '127.0.0.1');
    socket.write(encodeAnnounce({ nodeId: 'b', nodePort, capabilities: CAPABILITIES }));
    await listenTo(socket);
  }
  assert.deepEqual(
    sink.offers.map((one) => one.address.port),
    [50062, 50063],
  );
});

test('tcp: the own id gets no answer; from another node port it is offered, so that the pool reports it', async (t) => {
  const { port, sink } = await listeningNode(t);
  for (const nodePort of [50051, 50099]) {
    const socket = connect(port, '127.0.0.1');
    socket.write(encodeAnnounce({ nodeId: 'a', nodePort, capabilities: CAPABILITIES }));
    assert.equal(await listenTo(socket), '');
  }
  assert.deepEqual(
    sink.offers.map((one) => one.address.port),
    [50099],
  );
});

test('tcp: what is no announce costs its own connection and is refused in words; a port check is not', async (t) => {
  const { port, sink } = await listeningNode(t);
  for (const text of ['GET / HTTP/1.1\r\n\r\n', '{"type":"other"}', '{'.repeat(100), '{}']) {
    const socket = connect(port, '127.0.0.1');
    socket.write(text);
    assert.equal(await listenTo(socket), '', text);
  }
  const check = connect(port, '127.0.0.1');
  check.end();
  await listenTo(check);
  assert.equal(sink.refusals.length, 4);
  for (const refusal of sink.refusals) assert.match(refusal.reason, /announce.*--listen-port may be wrong/);
  const socket = connect(port, '127.0.0.1');
  socket.write(ANNOUNCE);
  assert.notEqual(await listenTo(socket), '', 'the next one is served');
});

test('tcp: a connection that says nothing, or does not finish, is closed at the deadline', async (t) => {
  const clock = new VirtualClock();
  const { port } = await listeningNode(t, clock);
  for (const text of ['', '{"type":']) {
    const socket = connect(port, '127.0.0.1');
    socket.write(text);
    let gone = false;
    const closed = listenTo(socket).then(() => {
      gone = true;
    });
    await once(socket, 'connect');
    await clock.advance(LIMITS.announceTimeoutMs - 100);
    assert.equal(gone, false);
    while (!gone) await clock.advance(100);
    await closed;
  }
});

test('tcp: a listen port that another program holds is refused with the option to change', async (t) => {
  const other = createServer().listen(0, '0.0.0.0');
  await once(other, 'listening');
  t.after(() => other.close());
  const { tcp } = tcpNode(t, { nodeId: 'a', listenPort: portOf(other), broadcastPort: 1 });
  await assert.rejects(tcp.start(), (error) => {
    assert.ok(error instanceof ExoError);
    assert.equal(error.code, 'port-in-use');
    assert.match(
      error.message,
      /TCP port \d+ is taken by another program; choose another with --listen-port/,
    );
    return true;
  });
});

test('tcp: an answer split in two, and late, is still read', async (t) => {
  const [x] = (await freePorts(1)) as [number];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(ANNOUNCE.subarray(0, 20));
      setImmediate(() => socket.write(ANNOUNCE.subarray(20)));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { tcp, sink } = tcpNode(t, { nodeId: 'a', listenPort: x, broadcastPort: portOf(server) });
  await tcp.start();
  await sink.until(() => sink.offers.length > 0);
  assert.equal(sink.offers[0]?.claimedId, 'b');
});

/** A node on virtual time whose dials lead nowhere and are kept. */
function sweepingNode(t: TestContext, interfaces: readonly LocalInterface[], more: Partial<Parts> = {}) {
  const clock = new VirtualClock();
  const dials: Array<{ host: string; atMs: number }> = [];
  const open = new Set<Socket>();
  const { tcp } = tcpNode(t, {
    nodeId: 'a',
    listenPort: 5678,
    broadcastPort: 5678,
    clock,
    interfaces: () => interfaces,
    listen: async () => ({ port: 5678, close: async () => undefined }),
    connect: (host) => {
      dials.push({ host, atMs: clock.now() });
      const socket = new Socket();
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      return socket;
    },
    ...more,
  });
  return { clock, dials, open, tcp };
}

const LAN: LocalInterface = {
  name: 'eth0',
  address: '10.0.0.7',
  prefixBits: 16,
  broadcast: '10.0.255.255',
  type: 'Ethernet',
  priority: 4,
};

test('tcp: the own /24 is swept at start within 9 s, at 32 dials a second, and again every minute', async (t) => {
  const { clock, dials, tcp } = sweepingNode(t, [LOOPBACK, LAN]);
  await tcp.start();
  await clock.advance(9_000);
  const hosts = new Set(dials.map(({ host }) => host));
  assert.equal(hosts.size, 253);
  assert.equal(dials.length, 253);
  assert.ok([...hosts].every((host) => /^10\.0\.0\.\d+$/.test(host) && host !== '10.0.0.7'));
  for (const { atMs } of dials) {
    const inOneSecond = dials.filter((dial) => dial.atMs >= atMs && dial.atMs < atMs + 1_000).length;
    assert.ok(inOneSecond <= LIMITS.sweepDialsPerSecond + 1, `${inOneSecond} dials in a second`);
  }
  await clock.advance(30_000);
  assert.equal(dials.length, 253);
  await clock.advance(40_000);
  assert.equal(dials.length, 506);
  await tcp.stop();
});

test('tcp: known hosts, peers and neighbours are asked before the sweep and every 5 s; public neighbours never', async (t) => {
  const { clock, dials, open, tcp } = sweepingNode(t, [LAN], {
    knownHosts: () => ['203.0.113.5', '127.0.0.1', '10.0.0.7'],
    peerHosts: ['10.9.9.9'],
    neighbours: async () => ['10.0.0.99', '8.8.8.8'],
  });
  await tcp.start();
  await clock.advance(200);
  assert.deepEqual(
    dials.slice(0, 3).map(({ host }) => host),
    ['203.0.113.5', '10.9.9.9', '10.0.0.99'],
    'what the user named may be public; the own addresses are left out',
  );
  await clock.advance(20_000);
  assert.ok(!dials.some(({ host }) => host === '8.8.8.8'));
  const known = dials.filter(({ host }) => host === '203.0.113.5').length;
  assert.ok(known >= 4 && known <= 5, `${known} times`);
  await tcp.stop();
  assert.equal(open.size, 0, 'no socket is left');
  assert.equal(clock.pending, 0, 'no timer is left');
});

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
