import '../support/leaks.js';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  createMemoryNetwork,
  LINK_PROFILES,
  type LinkName,
  type LinkProfile,
  linkProfile,
} from '../../src/protocol/index.js';
import { windowBytes } from '../../src/protocol/link-profile.js';
import { type Clock, LIMITS, seededRandom, VirtualClock } from '../../src/shared/index.js';
import { dial, lab, PORT, pair, SECOND_MS } from '../support/memory-lab.js';

const KIB = 1024;
const MIB = 1024 * KIB;

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

  it('never stalls where time passes between two looks at the clock, as it does on a real one', async () => {
    const clock = new VirtualClock();
    let creepMs = 0;
    const creeping: Clock = {
      now: () => {
        creepMs += 0.02;
        return clock.now() + creepMs;
      },
      wall: () => clock.wall(),
      after: (delayMs, fn) => clock.after(delayMs, fn),
      every: (intervalMs, fn) => clock.every(intervalMs, fn),
    };
    // Segments of 64 KiB arrive 0.07 ms apart; all fit into the window, so no acknowledgement wakes the link again.
    const link = { latencyMs: 0.2, bytesPerSecond: 1_000_000_000 };
    const network = createMemoryNetwork({ clock: creeping, random: seededRandom(1) }, { link });
    const { a, b } = await pair({ clock, network });
    const bytes = 192 * KIB;
    for (let round = 1; round <= 100; round += 1) {
      a.stream.write([Buffer.alloc(bytes)]);
      await clock.advance(5);
      assert.equal(b.receivedBytes, round * bytes);
    }
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
