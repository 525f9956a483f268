import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ByteStream, createMemoryNetwork, type NetworkEvent } from '../../src/protocol/index.js';
import { randomInt, seededRandom, systemClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';
import { inTime } from '../support/eventually.js';
import { dial, lab, PORT, SECOND_MS } from '../support/memory-lab.js';

const KIB = 1024;
const MIB = 1024 * KIB;

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
        dials.push(
          network.transport(from).dial({ host: to, port: PORT }, { timeoutMs: inTime(5 * SECOND_MS) }),
        );
      }
    }
    const ends = (await Promise.all(dials)).map((stream) => new StreamEnd(stream));
    assert.equal(ends.length, 4_950);
    for (const end of ends) end.stream.write([Buffer.alloc(200)]);
    await Promise.all(ends.map((end) => end.received(200)));
    for (const end of ends) end.stream.end();
    await Promise.all(ends.map((end) => end.closed));
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < inTime(5 * SECOND_MS), `took ${tookMs} ms`);
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
    // Where the machine holds this process up, the timer is due as soon as the traffic has begun.
    for (let turn = 0; turn < 20 && end.chunks <= 100; turn += 1) await end.quiet(50);
    assert.ok(end.chunks > 100, `${end.chunks} rounds`);
    end.stream.destroy();
    await end.closed;
  });
});
