import '../support/leaks.js';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  type ByteStream,
  createMemoryNetwork,
  LINK_PROFILES,
  type LinkName,
  type LinkProfile,
  type Listener,
  linkProfile,
  type MemoryNetwork,
  type NetworkEvent,
} from '../../src/protocol/index.js';
import { windowBytes } from '../../src/protocol/link-profile.js';
import { LIMITS, randomInt, seededRandom, systemClock, VirtualClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1_000;
const PORT = 50_051;

interface Lab {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly events: NetworkEvent[];
}

function lab(link: LinkName | LinkProfile = {}, seed = 1): Lab {
  const clock = new VirtualClock();
  const events: NetworkEvent[] = [];
  const network = createMemoryNetwork(
    { clock, random: seededRandom(seed) },
    { link, onEvent: (event) => events.push(event) },
  );
  return { clock, network, events };
}

/** A stream from host `a` to host `b`, with both ends in hand. */
async function pair({ clock, network }: Lab): Promise<{ a: StreamEnd; b: StreamEnd; listener: Listener }> {
  let b: StreamEnd | undefined;
  const listener = network.transport('b').listen({ host: '0.0.0.0', port: 0 }, (stream) => {
    b = new StreamEnd(stream);
  });
  await listener.start();
  const dialling = dial(network, listener.address.port);
  await clock.advance(2 * SECOND_MS);
  const a = new StreamEnd(await dialling);
  assert.ok(b !== undefined);
  return { a, b, listener };
}

const dial = (network: MemoryNetwork, port = PORT, timeoutMs = 5 * SECOND_MS): Promise<ByteStream> =>
  network.transport('a').dial({ host: 'b', port }, { timeoutMs });

describe('in-memory network on virtual time', () => {
  it('delivers over a perfect link within the instant', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    b.echo();
    a.stream.write([Buffer.alloc(5 * MIB)]);
    await world.clock.advance(0);
    assert.equal(a.receivedBytes, 5 * MIB);
  });

  it('takes the latency of both directions for a dial and of one for bytes', async () => {
    const world = lab({ latencyMs: 40 });
    const { clock, network } = world;
    let acceptedMs = 0;
    const listener = network.transport('b').listen({ host: 'b', port: PORT }, () => {
      acceptedMs = clock.now();
    });
    await listener.start();
    let dialledMs = 0;
    const dialled = dial(network).then(() => {
      dialledMs = clock.now();
    });
    await clock.advance(200);
    await dialled;
    assert.equal(dialledMs, 80);
    assert.equal(acceptedMs, 120);
  });

  it('keeps the order of bytes whatever the jitter', async () => {
    const world = lab({ latencyMs: 20, jitterMs: 20 });
    const { a, b } = await pair(world);
    const expected = createHash('sha256');
    const arrivals = new Set<number>();
    for (let count = 0; count < 200; count += 1) {
      const chunk = Buffer.from(`${count};`);
      expected.update(chunk);
      a.stream.write([chunk]);
      await world.clock.advance(1);
    }
    await world.clock.advance(SECOND_MS);
    for (const event of world.events) if (event.kind === 'data') arrivals.add(event.atMs);
    assert.equal(b.digest(), expected.digest('hex'));
    assert.ok(arrivals.size > 20, 'the jitter spreads the arrivals');
  });

  it('gives all streams of a link together its bandwidth', async () => {
    const world = lab({ bytesPerSecond: MIB });
    const first = await pair(world);
    const second = await pair(world);
    const startedMs = world.clock.now();
    for (const { a } of [first, second]) {
      a.stream.write([Buffer.alloc(2 * MIB)]);
      a.stream.end();
    }
    await world.clock.advance(3 * SECOND_MS);
    assert.ok(first.b.receivedBytes > MIB && second.b.receivedBytes > MIB, 'both move');
    assert.ok(first.b.receivedBytes + second.b.receivedBytes <= 3 * MIB);
    await world.clock.advance(2 * SECOND_MS);
    await Promise.all([first.b.ended, second.b.ended]);
    const lastMs = world.events.filter((event) => event.kind === 'data').at(-1)!.atMs;
    assert.ok(Math.abs(lastMs - startedMs - 4 * SECOND_MS) < 1);
  });

  it('bounds what is on its way by the window, and the rest by the writer', async () => {
    const world = lab({ latencyMs: 100, windowBytes: 128 * KIB });
    const { a, b } = await pair(world);
    assert.equal(a.stream.write([Buffer.alloc(128 * KIB)]), true);
    assert.equal(a.stream.write([Buffer.alloc(256 * KIB)]), false);
    await world.clock.advance(50);
    assert.equal(a.stream.unsentBytes, 256 * KIB);
    await world.clock.advance(51);
    assert.equal(b.receivedBytes, 128 * KIB);
    assert.equal(a.stream.unsentBytes, 128 * KIB);
    assert.equal(a.stream.write([]), true);
    assert.equal(LIMITS.streamHighWaterBytes, 256 * KIB);
  });

  it('delays what is lost, and lets nothing overtake it', async () => {
    const [clean, lossy] = [lab({ latencyMs: 10 }), lab({ latencyMs: 10, lossShare: 0.05 })];
    const tookMs: number[] = [];
    for (const world of [clean, lossy]) {
      const { a, b } = await pair(world);
      const startedMs = world.clock.now();
      a.stream.write([Buffer.alloc(4 * MIB, 'l')]);
      a.stream.end();
      await world.clock.advance(60 * SECOND_MS);
      await b.ended;
      assert.equal(
        b.digest(),
        createHash('sha256')
          .update(Buffer.alloc(4 * MIB, 'l'))
          .digest('hex'),
      );
      tookMs.push(world.events.at(-1)!.atMs - startedMs);
    }
    assert.ok(tookMs[1]! > tookMs[0]! * 1.5, `clean and lossy took ${tookMs} ms`);
  });

  it('cuts bytes into pieces of one', async () => {
    const world = lab({ pieceBytesMax: 1 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.alloc(5_000, '1')]);
    a.stream.end();
    await world.clock.advance(SECOND_MS);
    await b.ended;
    assert.equal(b.chunks, 5_000);
    assert.equal(b.digest(), createHash('sha256').update(Buffer.alloc(5_000, '1')).digest('hex'));
  });

  it('cuts bytes into pieces of random size', async () => {
    const world = lab({ pieceBytesMax: 100 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.alloc(20_000)]);
    await world.clock.advance(SECOND_MS);
    const sizes = new Set(world.events.filter((event) => event.kind === 'data').map((event) => event.bytes));
    assert.ok(sizes.size > 50);
    assert.equal(b.receivedBytes, 20_000);
  });

  it('delays FIN where asked to', async () => {
    const world = lab({ closeDelayMs: 300 });
    const { a, b } = await pair(world);
    let ended = false;
    void b.ended.then(() => {
      ended = true;
    });
    a.stream.write([Buffer.from('last words')]);
    a.stream.end();
    await world.clock.advance(299);
    assert.equal(b.receivedBytes, 10);
    assert.equal(ended, false);
    await world.clock.advance(2);
    assert.equal(ended, true);
  });
});

describe('in-memory network breaks', () => {
  it('streams on demand, at both ends', async () => {
    const world = lab({ latencyMs: 10 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.from('on its way')]);
    await world.clock.advance(0);
    world.network.reset('a', 'b');
    await world.clock.advance(0);
    assert.match((await a.closed)!.message, /reset/);
    assert.match((await b.closed)!.message, /reset/);
    assert.equal(b.receivedBytes, 0);
  });

  it('streams after exactly so many bytes', async () => {
    const world = lab();
    world.network.setLink('a', 'b', { resetAfterBytes: 100_000 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.alloc(99_999)]);
    await world.clock.advance(0);
    assert.equal(a.closes, 0);
    a.stream.write([Buffer.alloc(10)]);
    await world.clock.advance(0);
    await Promise.all([a.closed, b.closed]);
    assert.equal(b.receivedBytes, 100_000);
    assert.deepEqual([a.closes, b.closes], [1, 1]);
  });

  it('streams after a random number of bytes with the given mean', async () => {
    const world = lab();
    world.network.setLink('a', 'b', { resetAfterBytesMean: 50 * KIB });
    const carried: number[] = [];
    for (let round = 0; round < 100; round += 1) {
      const { a, b } = await pair(world);
      a.stream.write([Buffer.alloc(MIB)]);
      await world.clock.advance(0);
      await Promise.all([a.closed, b.closed]);
      carried.push(b.receivedBytes);
    }
    const mean = carried.reduce((sum, bytes) => sum + bytes, 0) / carried.length;
    assert.ok(mean > 35 * KIB && mean < 65 * KIB, `mean ${mean}`);
    assert.ok(new Set(carried).size > 90);
  });

  it('no connection into being where the link refuses', async () => {
    const world = lab();
    await pair(world);
    world.network.setLink('a', 'b', { refuse: true });
    await assert.rejects(dial(world.network), { code: 'connect-failed', message: /refused/ });
  });

  it('nothing between other hosts', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.setLinks('a', 'c', { refuse: true });
    world.network.partition(['c'], ['a', 'b']);
    world.network.reset('a', 'c');
    world.network.freeze('c');
    b.echo();
    a.stream.write([Buffer.from('untouched')]);
    await world.clock.advance(0);
    assert.equal(a.receivedBytes, 9);
  });
});

describe('in-memory network partitions', () => {
  it('hold bytes back and deliver them when healed', async () => {
    const world = lab({ latencyMs: 10 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.from('before,')]);
    await world.clock.advance(5);
    world.network.partition(['a'], ['b']);
    a.stream.write([Buffer.from('during')]);
    a.stream.end();
    await world.clock.advance(60 * SECOND_MS);
    assert.equal(b.receivedBytes, 0);
    assert.equal(a.closes, 0);
    world.network.healAll();
    await world.clock.advance(10);
    await b.ended;
    assert.equal(b.digest(), createHash('sha256').update('before,during').digest('hex'));
  });

  it('stop a writer at the window', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.partition(['a'], ['b']);
    a.stream.write([Buffer.alloc(2 * MIB)]);
    await world.clock.advance(SECOND_MS);
    assert.equal(a.stream.unsentBytes, 2 * MIB - windowBytes({}));
    world.network.healAll();
    await world.clock.advance(0);
    assert.equal(b.receivedBytes, 2 * MIB);
    assert.equal(a.stream.unsentBytes, 0);
  });

  it('of one direction let the other through, up to the window: no acknowledgement comes back', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.cut('b', 'a');
    a.stream.write([Buffer.alloc(MIB)]);
    b.stream.write([Buffer.from('held back')]);
    await world.clock.advance(SECOND_MS);
    assert.equal(b.receivedBytes, windowBytes({}));
    assert.equal(a.receivedBytes, 0);
    world.network.heal('b', 'a');
    await world.clock.advance(0);
    assert.equal(b.receivedBytes, MIB);
    assert.equal(a.receivedBytes, 9);
  });

  it('let dials time out, and those through that still wait when healed', async () => {
    const world = lab({ latencyMs: 10 });
    const { listener } = await pair(world);
    world.network.cut('b', 'a');
    const late = dial(world.network, listener.address.port, SECOND_MS);
    const inTime = dial(world.network, listener.address.port, 10 * SECOND_MS);
    const rejected = assert.rejects(late, {
      code: 'connect-failed',
      message: /no answer from b:\d+ within 1 s/,
    });
    await world.clock.advance(5 * SECOND_MS);
    await rejected;
    world.network.heal('b', 'a');
    await world.clock.advance(SECOND_MS);
    assert.ok(await inTime);
  });

  it('leave a reset waiting, too', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.partition(['a'], ['b']);
    a.stream.destroy();
    await world.clock.advance(SECOND_MS);
    assert.equal(a.closes, 1);
    assert.equal(b.closes, 0);
    world.network.healAll();
    await world.clock.advance(0);
    assert.match((await b.closed)!.message, /reset/);
  });
});

describe('a frozen host', () => {
  it('takes bytes and connections, and is told about them when it thaws', async () => {
    const world = lab();
    const { a, b, listener } = await pair(world);
    world.network.freeze('b');
    a.stream.write([Buffer.alloc(MIB)]);
    const second = dial(world.network, listener.address.port);
    await world.clock.advance(SECOND_MS);
    assert.ok(await second, 'the kernel makes the connection');
    assert.equal(b.receivedBytes, 0);
    assert.equal(a.stream.unsentBytes, MIB - windowBytes({}));
    world.network.thaw('b');
    await world.clock.advance(0);
    assert.equal(b.receivedBytes, MIB);
  });

  it('sends nothing', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.freeze('b');
    b.stream.write([Buffer.from('later')]);
    await world.clock.advance(SECOND_MS);
    assert.equal(a.receivedBytes, 0);
    world.network.thaw('b');
    await world.clock.advance(0);
    assert.equal(a.receivedBytes, 5);
  });

  it('drops connections beyond its queue', async () => {
    const world = lab();
    const { listener } = await pair(world);
    world.network.freeze('b');
    const dials = Array.from({ length: LIMITS.acceptBacklog + 9 }, () =>
      dial(world.network, listener.address.port, SECOND_MS).then(
        () => 'made',
        (error: Error) => error.message,
      ),
    );
    await world.clock.advance(2 * SECOND_MS);
    const results = await Promise.all(dials);
    assert.equal(results.filter((result) => result === 'made').length, LIMITS.acceptBacklog);
    assert.equal(results.filter((result) => /no answer/.test(result)).length, 9);
  });
});

describe('a host that vanishes', () => {
  it('leaves half-open streams: no FIN, no reset', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.vanish('b');
    a.stream.write([Buffer.from('is anybody there')]);
    b.stream.write([Buffer.from('never sent')]);
    await world.clock.advance(600 * SECOND_MS);
    assert.equal(a.closes, 0);
    assert.equal(a.receivedBytes, 0);
    assert.equal(b.receivedBytes, 0);
    a.stream.destroy();
    b.stream.destroy();
    await world.clock.advance(0);
    assert.deepEqual([a.closes, b.closes], [1, 1]);
  });

  it('lets dials time out', async () => {
    const world = lab();
    const { listener } = await pair(world);
    world.network.vanish('b');
    const rejected = assert.rejects(dial(world.network, listener.address.port, SECOND_MS), {
      message: /no answer/,
    });
    await world.clock.advance(2 * SECOND_MS);
    await rejected;
  });

  it('answers bytes of old streams with a reset when it is back, and has free ports', async () => {
    const world = lab();
    const { a, listener } = await pair(world);
    world.network.vanish('b');
    a.stream.write([Buffer.from('hello?')]);
    await world.clock.advance(SECOND_MS);
    world.network.restore('b');
    await world.clock.advance(0);
    assert.match((await a.closed)!.message, /reset/);
    const again = world.network
      .transport('b')
      .listen({ host: 'b', port: listener.address.port }, () => undefined);
    await again.start();
    // The old program's late stop does not close the new one's port.
    await listener.stop();
    const dialled = dial(world.network, listener.address.port);
    await world.clock.advance(0);
    assert.ok(await dialled);
  });
});

describe('addresses of the in-memory network', () => {
  it('loopback means the machine itself, and is closed to others', async () => {
    const { clock, network } = lab();
    const listener = network.transport('b').listen({ host: '127.0.0.1', port: PORT }, () => undefined);
    await listener.start();
    await assert.rejects(dial(network), { code: 'connect-failed', message: /refused/ });
    const own = network.transport('b').dial({ host: 'localhost', port: PORT }, { timeoutMs: SECOND_MS });
    await clock.advance(0);
    assert.equal((await own).remote, `localhost:${PORT}`);
    await assert.rejects(
      network.transport('a').dial({ host: '127.0.0.1', port: PORT }, { timeoutMs: SECOND_MS }),
      { message: /refused/ },
    );
  });

  it('each machine has its own ports', async () => {
    const { network } = lab();
    for (const host of ['a', 'b']) {
      const listener = network.transport(host).listen({ host: '0.0.0.0', port: PORT }, () => undefined);
      await listener.start();
      assert.equal(listener.address.port, PORT);
    }
  });
});

describe('link profiles', () => {
  it('are a ladder: each rung is slower than the one before', () => {
    const names: LinkName[] = [
      'good-wifi',
      'congested-wifi',
      'weak-4g',
      'slow-3g',
      'congested-cellular',
      'very-bad',
    ];
    const rungs: LinkProfile[] = names.map((name) => linkProfile(name));
    for (let rung = 1; rung < rungs.length; rung += 1) {
      assert.ok(rungs[rung]!.latencyMs! > rungs[rung - 1]!.latencyMs!);
      assert.ok(rungs[rung]!.bytesPerSecond! < rungs[rung - 1]!.bytesPerSecond!);
    }
  });

  for (const name of Object.keys(LINK_PROFILES) as LinkName[]) {
    it(`${name} carries 1 MiB whole, at no more than its bandwidth`, async () => {
      const world = lab(name);
      const { a, b } = await pair(world);
      const startedMs = world.clock.now();
      a.stream.write([Buffer.alloc(MIB, name)]);
      a.stream.end();
      await world.clock.advance(120 * SECOND_MS);
      await b.ended;
      assert.equal(b.digest(), createHash('sha256').update(Buffer.alloc(MIB, name)).digest('hex'));
      const tookMs = world.events.at(-1)!.atMs - startedMs;
      const profile: LinkProfile = LINK_PROFILES[name];
      const leastMs =
        profile.bytesPerSecond === undefined
          ? 0
          : (MIB / profile.bytesPerSecond) * SECOND_MS + profile.latencyMs!;
      assert.ok(tookMs >= leastMs * 0.9, `${tookMs} ms, at least ${leastMs} ms`);
    });
  }

  it('have a window that fills the path, within bounds', () => {
    assert.equal(windowBytes({}), 256 * KIB);
    assert.equal(windowBytes({ latencyMs: 300, bytesPerSecond: 3_125_000 }), 3_750_000);
    assert.equal(windowBytes({ latencyMs: 300, bytesPerSecond: 125_000_000 }), 4_096 * KIB);
    assert.equal(windowBytes({ windowBytes: 9 }), 9);
  });
});

describe('a seed', () => {
  /** Hosts that talk at random over bad links while faults come and go. */
  async function run(seed: number): Promise<NetworkEvent[]> {
    const link = {
      latencyMs: 5,
      jitterMs: 5,
      lossShare: 0.02,
      pieceBytesMax: 5_000,
      resetAfterBytesMean: MIB,
    };
    const { clock, network, events } = lab(link, seed);
    const script = seededRandom(seed + 1);
    const hosts = ['h0', 'h1', 'h2', 'h3', 'h4'];
    const streams: ByteStream[] = [];
    for (const host of hosts) {
      const listener = network
        .transport(host)
        .listen({ host, port: PORT }, (stream) => new StreamEnd(stream).echo());
      await listener.start();
    }
    const pick = () => hosts[randomInt(script, 0, hosts.length - 1)]!;
    for (let step = 0; step < 300; step += 1) {
      const [from, to] = [pick(), pick()];
      const choice = randomInt(script, 0, 9);
      if (choice < 3) {
        network
          .transport(from)
          .dial({ host: to, port: PORT }, { timeoutMs: 500 })
          .then(
            (stream) => streams.push(new StreamEnd(stream).stream),
            () => undefined,
          );
      } else if (choice < 7) {
        streams.at(randomInt(script, 0, streams.length))?.write([script.bytes(randomInt(script, 1, 20_000))]);
      } else if (choice === 7) {
        network.cut(from, to);
        clock.after(100, () => network.heal(from, to));
      } else if (choice === 8) {
        network.freeze(from);
        clock.after(50, () => network.thaw(from));
      } else {
        network.reset(from, to);
      }
      await clock.advance(randomInt(script, 0, 30));
    }
    await clock.advance(10 * SECOND_MS);
    return events;
  }

  it('replays a run event by event', async () => {
    const [first, second, other] = [await run(11), await run(11), await run(12)];
    assert.ok(first.length > 500, `${first.length} events`);
    for (const kind of ['open', 'data', 'reset']) assert.ok(first.some((event) => event.kind === kind));
    assert.deepEqual(second, first);
    assert.notDeepEqual(other, first);
  });
});

describe('many hosts in one process', () => {
  it('100 hosts, each connected to each, exchange a round of messages within seconds on the system clock', async () => {
    const network = createMemoryNetwork({ clock: systemClock, random: seededRandom(3) });
    const names = Array.from({ length: 100 }, (_, index) => `n${index}`);
    const startedMs = performance.now();
    for (const name of names) {
      const onStream = (stream: ByteStream) => new StreamEnd(stream).echo();
      await network.transport(name).listen({ host: name, port: PORT }, onStream).start();
    }
    const dials: Promise<ByteStream>[] = [];
    for (const [index, from] of names.entries()) {
      for (const to of names.slice(index + 1)) {
        dials.push(network.transport(from).dial({ host: to, port: PORT }, { timeoutMs: 5 * SECOND_MS }));
      }
    }
    const ends = (await Promise.all(dials)).map((stream) => new StreamEnd(stream));
    assert.equal(ends.length, 4_950);
    for (const end of ends) end.stream.write([Buffer.alloc(200)]);
    await Promise.all(ends.map((end) => end.received(200)));
    for (const end of ends) end.stream.end();
    await Promise.all(ends.map((end) => end.closed));
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 5 * SECOND_MS, `took ${tookMs} ms`);
  });

  it('endless traffic lets timers run', async () => {
    const network = createMemoryNetwork({ clock: systemClock, random: seededRandom(3) });
    const listener = network
      .transport('b')
      .listen({ host: 'b', port: PORT }, (stream) => new StreamEnd(stream).echo());
    await listener.start();
    const end = new StreamEnd(await dial(network));
    end.echo();
    end.stream.write([Buffer.from('ball')]);
    await end.quiet(50);
    assert.ok(end.chunks > 100, `${end.chunks} rounds`);
    end.stream.destroy();
    await end.closed;
  });
});
