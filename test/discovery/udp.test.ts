import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import type { LocalInterface } from '../../src/discovery/interfaces.js';
import { UdpDiscovery } from '../../src/discovery/udp.js';
import { UdpAnnouncer } from '../../src/discovery/udp-announcer.js';
import { decodeDatagram, encodeDatagram } from '../../src/discovery/udp-packet.js';
import { type OpenDatagramSocket, openDatagramSocket } from '../../src/discovery/udp-socket.js';
import { UdpSources } from '../../src/discovery/udp-sources.js';
import {
  ExoError,
  LIMITS,
  seededRandom,
  silentLogger,
  systemClock,
  systemRandom,
  VirtualClock,
} from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { freePorts } from '../support/ports.js';
import { CAPABILITIES, LOOPBACK, RecordingSink, recordingPool, selfOf } from './fixtures.js';

const ETH: LocalInterface = {
  name: 'eth0',
  address: '10.0.0.1',
  prefixBits: 24,
  broadcast: '10.0.0.255',
  type: 'Ethernet',
  priority: 4,
};
const WLAN: LocalInterface = {
  ...ETH,
  name: 'wlan0',
  address: '10.1.0.1',
  broadcast: '10.1.0.255',
  type: 'WiFi',
  priority: 3,
};

/** Sockets that keep what is sent, and fail for the hosts in `broken`. */
function fakeSockets(broken: ReadonlyMap<string, string> = new Map()) {
  const sent: Array<{ from: string; to: string; port: number; bytes: Buffer }> = [];
  const open = new Set<string>();
  const fail = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
  const openSocket: OpenDatagramSocket = async (host) => {
    const bindError = broken.get(`bind ${host}`);
    if (bindError !== undefined) return fail(bindError);
    assert.ok(!open.has(host), `a second socket on ${host}`);
    open.add(host);
    return {
      port: 40_000,
      send: (bytes, port, to) => {
        const error = broken.get(to) ?? broken.get(`from ${host}`);
        if (error !== undefined) return fail(error);
        sent.push({ from: host, to, port, bytes });
        return Promise.resolve();
      },
      close: () => {
        open.delete(host);
        return Promise.resolve();
      },
    };
  };
  return { sent, open, openSocket };
}

function announcerOn(interfaces: () => readonly LocalInterface[], openSocket: OpenDatagramSocket) {
  const clock = new VirtualClock();
  const announcer = new UdpAnnouncer(
    { port: 5678 },
    { clock, random: seededRandom(3), logger: silentLogger, self: selfOf('a'), interfaces, openSocket },
  );
  return { clock, announcer };
}

test('announcer sends from every interface, bound to its address, to the subnet and then to everybody', async () => {
  const { sent, open, openSocket } = fakeSockets();
  const { clock, announcer } = announcerOn(() => [ETH, WLAN], openSocket);
  await announcer.start();
  assert.deepEqual(
    sent.map(({ from, to, port }) => [from, to, port]),
    [
      ['10.0.0.1', '10.0.0.255', 5678],
      ['10.1.0.1', '10.1.0.255', 5678],
      ['10.0.0.1', '255.255.255.255', 5678],
      ['10.1.0.1', '255.255.255.255', 5678],
    ],
  );
  const heard = decodeDatagram(sent[1]!.bytes);
  assert.deepEqual([heard.interfaceName, heard.interfaceType, heard.priority], ['wlan0', 'WiFi', 3]);
  assert.equal(announcer.describe(), 'announces on eth0, wlan0 to port 5678');
  await announcer.stop();
  assert.equal(open.size, 0);
  assert.equal(clock.pending, 0);
});

test('announcer speaks every 2.5 s, give or take a tenth', async () => {
  const { sent, openSocket } = fakeSockets();
  const { clock, announcer } = announcerOn(() => [ETH], openSocket);
  await announcer.start();
  sent.length = 0;
  const times: number[] = [];
  for (let step = 0; step < 2_600; step += 1) {
    await clock.advance(10);
    if (sent.length > 0) times.push(clock.now());
    sent.length = 0;
  }
  const gaps = times.slice(1).map((time, index) => time - times[index]!);
  assert.ok(gaps.length >= 8, `${gaps.length} gaps`);
  assert.ok(
    gaps.every((gap) => gap >= 2_240 && gap <= 2_760),
    gaps.join(' '),
  );
  assert.ok(new Set(gaps).size > 1, 'jitter');
  await announcer.stop();
});

test('announcer goes on where one interface is dead, and says why', async () => {
  const broken = new Map([
    ['from 10.1.0.1', 'ENETUNREACH'],
    ['10.0.0.255', 'EACCES'],
  ]);
  const { sent, openSocket } = fakeSockets(broken);
  const { clock, announcer } = announcerOn(() => [ETH, WLAN], openSocket);
  await announcer.start();
  assert.deepEqual(
    sent.map(({ to }) => to),
    ['255.255.255.255'],
    'the other broadcast form is enough',
  );
  assert.match(
    announcer.describe(),
    /^announces on eth0 to port 5678; not on wlan0 10\.1\.0\.1: the network cannot be reached \(to 10\.1\.0\.255\)/,
  );
  broken.clear();
  await clock.advance(3_000);
  assert.equal(announcer.describe(), 'announces on eth0, wlan0 to port 5678');
  await announcer.stop();
});

test('announcer retries an address that could not be bound', async () => {
  const broken = new Map([['bind 10.0.0.1', 'EADDRNOTAVAIL']]);
  const { sent, openSocket } = fakeSockets(broken);
  const { clock, announcer } = announcerOn(() => [ETH], openSocket);
  await announcer.start();
  assert.match(
    announcer.describe(),
    /announces on no interface; not on eth0 10\.0\.0\.1: the address is gone/,
  );
  broken.clear();
  await clock.advance(3_000);
  assert.ok(sent.length > 0);
  await announcer.stop();
});

test('announcer speaks on a new interface within a second and closes what is gone', async () => {
  const { sent, open, openSocket } = fakeSockets();
  let now: LocalInterface[] = [ETH];
  const { clock, announcer } = announcerOn(() => now, openSocket);
  await announcer.start();
  sent.length = 0;
  now = [WLAN];
  await clock.advance(1_000);
  assert.deepEqual(
    sent.map(({ from }) => from),
    ['10.1.0.1', '10.1.0.1'],
  );
  assert.deepEqual([...open], ['10.1.0.1']);
  assert.equal(announcer.hasAddress('10.0.0.1'), false);
  await announcer.stop();
});

test('sources: a proven one is neither evicted nor starved by strangers', () => {
  const sources = new UdpSources((host) => host === '10.0.0.2');
  for (let index = 0; index < 50_000; index += 1) {
    sources.take(`11.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, 1, 0);
  }
  assert.ok(sources.size <= LIMITS.datagramSourcesMax);
  assert.equal(sources.take('10.0.0.2', 1, 0), true);
  let taken = 1;
  while (sources.take('10.0.0.2', 1, 0)) taken += 1;
  assert.equal(taken, LIMITS.datagramBurst, 'a proven source has its rate too');
  assert.equal(sources.take('10.0.0.2', 1, 1_000), true);
});

test('sources: nodes of one machine are told apart by their port', () => {
  const sources = new UdpSources(() => false);
  while (sources.take('127.0.0.1', 1, 0));
  assert.equal(sources.take('127.0.0.1', 2, 0), true);
  while (sources.take('10.0.0.9', 1, 0));
  assert.equal(sources.take('10.0.0.9', 2, 0), false);
});

interface Parts {
  readonly nodeId: string;
  readonly listenPort: number;
  readonly broadcastPort: number;
  readonly nodePort?: number;
  readonly interfaces?: readonly LocalInterface[];
}

function udpNode(t: TestContext, parts: Parts) {
  const sink = new RecordingSink();
  const udp = new UdpDiscovery(
    { listenPort: parts.listenPort, broadcastPort: parts.broadcastPort, discoveryTimeoutMs: 30_000 },
    {
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      self: selfOf(parts.nodeId, parts.nodePort),
      sink,
      interfaces: () => parts.interfaces ?? [LOOPBACK],
      isProvenHost: () => false,
    },
  );
  t.after(() => udp.stop());
  return { udp, sink };
}

test('udp: two nodes on one host with crossed ports find each other', async (t) => {
  const [x, y] = (await freePorts(2)) as [number, number];
  const a = udpNode(t, { nodeId: 'a', listenPort: x, broadcastPort: y, nodePort: 50051 });
  const b = udpNode(t, { nodeId: 'b', listenPort: y, broadcastPort: x, nodePort: 50052 });
  const startedAt = performance.now();
  await Promise.all([a.udp.start(), b.udp.start()]);
  await Promise.all([
    a.sink.until(() => a.sink.offers.length > 0),
    b.sink.until(() => b.sink.offers.length > 0),
  ]);
  assert.ok(performance.now() - startedAt < inTime(6_000));
  assert.deepEqual(a.sink.offers[0], {
    key: 'udp:b@127.0.0.1:50052',
    module: 'udp',
    address: { host: '127.0.0.1', port: 50052 },
    claimedId: 'b',
    capabilities: CAPABILITIES,
    description: 'Loopback (lo)',
    priority: 6,
    interfaceType: 'Loopback',
    configured: false,
  });
  assert.equal(b.sink.offers[0]?.claimedId, 'a');
  assert.match(
    a.udp.describe(),
    new RegExp(`^listens on port ${x} \\(\\d+ heard.*; announces on lo to port ${y}$`),
  );
  await a.udp.stop();
  await a.udp.stop();
});

test('udp: two nodes on one host and one port hear each other where loopback has a broadcast address', async (t) => {
  if (
    !Object.values(networkInterfaces())
      .flat()
      .some((one) => one?.address === '127.0.0.1') ||
    process.platform !== 'linux'
  ) {
    t.skip('only Linux broadcasts on loopback');
    return;
  }
  const [port] = (await freePorts(1)) as [number];
  const a = udpNode(t, { nodeId: 'a', listenPort: port, broadcastPort: port });
  const b = udpNode(t, { nodeId: 'b', listenPort: port, broadcastPort: port });
  await a.udp.start();
  await b.udp.start();
  await Promise.all([
    a.sink.until(() => a.sink.offers.length > 0),
    b.sink.until(() => b.sink.offers.length > 0),
  ]);
  assert.ok(
    a.sink.offers.every((one) => one.claimedId === 'b'),
    'the own announcements are dropped',
  );
});

test('udp: the own id from another node port is offered, so that the pool reports it', async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const a = udpNode(t, { nodeId: 'a', listenPort: port, broadcastPort: port });
  await a.udp.start();
  const clone = await openDatagramSocket('127.0.0.1', 0, () => undefined, assert.fail);
  const datagram = {
    nodeId: 'a',
    nodePort: 50099,
    capabilities: CAPABILITIES,
    priority: 6,
    interfaceName: 'lo',
    interfaceType: 'Loopback',
  };
  await clone.send(encodeDatagram({ ...datagram, nodePort: 50051 }), port, '127.0.0.1');
  await clone.send(encodeDatagram(datagram), port, '127.0.0.1');
  await a.sink.until(() => a.sink.offers.length > 0);
  await clone.close();
  assert.deepEqual(
    a.sink.offers.map((one) => one.address.port),
    [50099],
  );
});

test('udp: what is no announcement is refused by source, in words, and disturbs nothing', async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const { udp, sink } = udpNode(t, { nodeId: 'a', listenPort: port, broadcastPort: port, interfaces: [] });
  await udp.start();
  const stranger = await openDatagramSocket('127.0.0.1', 0, () => undefined, assert.fail);
  for (const text of ['', 'x', '{', `{${'x'.repeat(20_000)}`, '{"type":"discovery"}']) {
    await stranger.send(Buffer.from(text), port, '127.0.0.1');
  }
  await stranger.send(
    encodeDatagram({
      nodeId: 'b',
      nodePort: 1,
      capabilities: CAPABILITIES,
      priority: 1,
      interfaceName: 'x',
      interfaceType: 'Other',
    }),
    port,
    '127.0.0.1',
  );
  await sink.until(() => sink.offers.length > 0);
  await stranger.close();
  assert.ok(sink.refusals.length >= 1);
  for (const refusal of sink.refusals) {
    assert.deepEqual([refusal.subject, refusal.code], ['127.0.0.1', 'candidate-invalid']);
    assert.match(refusal.reason, /^the datagram is not .*--broadcast-port may be wrong$/);
  }
});

test('udp: a listen port that another program holds is refused with the option to change', async (t) => {
  const other = createSocket('udp4');
  other.bind(0, '0.0.0.0');
  await once(other, 'listening');
  t.after(() => other.close());
  const { udp } = udpNode(t, { nodeId: 'a', listenPort: other.address().port, broadcastPort: 1 });
  await assert.rejects(udp.start(), (error) => {
    assert.ok(error instanceof ExoError);
    assert.equal(error.code, 'port-in-use');
    assert.match(
      error.message,
      /UDP port \d+ is taken by another program; choose another with --listen-port/,
    );
    return true;
  });
});

test('udp: under ten thousand announcements a second from two hundred sources the pool is bounded and a real node is found', async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const { pool, told } = recordingPool(systemClock);
  const udp = new UdpDiscovery(
    { listenPort: port, broadcastPort: port, discoveryTimeoutMs: 30_000 },
    {
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      self: selfOf('a'),
      sink: pool,
      interfaces: () => [],
      isProvenHost: (host) => pool.isProvenHost(host),
    },
  );
  const sockets = await Promise.all(
    Array.from({ length: 200 }, () => openDatagramSocket('127.0.0.1', 0, () => undefined, assert.fail)),
  );
  let serial = 0;
  const flood = setInterval(() => {
    for (let count = 0; count < 100; count += 1) {
      serial += 1;
      const bytes = encodeDatagram({
        nodeId: `spoof-${serial}`,
        nodePort: 1 + (serial % 65_535),
        capabilities: CAPABILITIES,
        priority: 7,
        interfaceName: 'x',
        interfaceType: 'Other',
      });
      // The kernel may drop what its buffer cannot hold: that is part of a flood.
      sockets[serial % sockets.length]!.send(bytes, port, '127.0.0.1').catch(() => undefined);
    }
  }, 10);
  const [unheard] = (await freePorts(1)) as [number];
  const real = udpNode(t, { nodeId: 'real', listenPort: unheard, broadcastPort: port, nodePort: 50077 });
  try {
    await udp.start();
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (serial < 5_000) return;
        clearInterval(look);
        resolve();
      }, 5);
    });
    const startedAt = performance.now();
    await real.udp.start();
    await new Promise<void>((resolve, reject) => {
      const look = setInterval(() => {
        const found = told.candidates.some((one) => one.claimedId === 'real');
        const late = performance.now() - startedAt > inTime(10_000);
        if (!found && !late) return;
        clearInterval(look);
        if (found) resolve();
        else reject(new Error(`not found in time; ${udp.describe()}`));
      }, 5);
    });
    t.diagnostic(
      `found after ${Math.round(performance.now() - startedAt)} ms and ${serial} spoofed announcements; ${told.candidates.length} offered for dialling, ${pool.size} in the pool`,
    );
    assert.ok(pool.size <= LIMITS.candidatesMax);
    assert.ok(told.candidates.length < 200);
  } finally {
    clearInterval(flood);
    await Promise.all(sockets.map((socket) => socket.close()));
    await udp.stop();
    pool.close();
  }
});
