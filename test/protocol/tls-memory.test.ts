import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type ByteStream,
  createMemoryNetwork,
  createTlsTransport,
  type LinkProfile,
  type MemoryNetwork,
  type NetworkEvent,
  type TlsCredentials,
  type Transport,
} from '../../src/protocol/index.js';
import { ExoError, LIMITS, seededRandom, VirtualClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';
import { repeats } from '../support/repeats.js';
import { tlsCredentials } from '../support/tls-credentials.js';

const PORT = 50_051;
const LATENCY_MS = 20;
const ROUND_TRIP_MS = 2 * LATENCY_MS;
const [nearMade, farMade] = await Promise.all([tlsCredentials(), tlsCredentials()]);

interface World {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly events: NetworkEvent[];
  /** The stream that b accepted last. */
  far(): StreamEnd | undefined;
  dial(timeoutMs?: number): Promise<ByteStream>;
}

/** Host a dials host b, encrypted, on virtual time. */
async function world(link: LinkProfile, seed = 1): Promise<World> {
  const clock = new VirtualClock();
  const events: NetworkEvent[] = [];
  const network = createMemoryNetwork(
    { clock, random: seededRandom(seed) },
    { link, onEvent: (event) => events.push(event) },
  );
  const over = (inner: Transport, credentials: TlsCredentials) =>
    createTlsTransport(inner, { clock, credentials });
  let far: StreamEnd | undefined;
  await over(network.transport('b'), farMade)
    .listen({ host: '0.0.0.0', port: PORT }, (stream) => {
      far = new StreamEnd(stream);
    })
    .start();
  const near = over(network.transport('a'), nearMade);
  return {
    clock,
    network,
    events,
    far: () => far,
    dial: (timeoutMs = 5_000) => near.dial({ host: 'b', port: PORT }, { timeoutMs, secure: true }),
  };
}

/** Moves time on in small steps: what TLS does takes turns of the loop, which virtual time does not wait for. */
async function pass(clock: VirtualClock, durationMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += 5) await clock.advance(5);
}

/** What became of a dial, once it is settled. */
function outcome(dialling: Promise<ByteStream>): { end?: StreamEnd; error?: unknown } {
  const result: { end?: StreamEnd; error?: unknown } = {};
  dialling.then(
    (stream) => {
      result.end = new StreamEnd(stream);
    },
    (error: unknown) => {
      result.error = error;
    },
  );
  return result;
}

describe('TLS in memory', () => {
  it('costs one round trip more than the connection', async () => {
    const { clock, dial } = await world({ latencyMs: LATENCY_MS });
    const result = outcome(dial());
    let tookMs = 0;
    for (; result.end === undefined && tookMs < 1_000; tookMs += 1) await clock.advance(1);
    assert.ok(result.end !== undefined, String(result.error));
    assert.ok(tookMs >= 2 * ROUND_TRIP_MS && tookMs <= 2 * ROUND_TRIP_MS + 2, `${tookMs} ms`);
    result.end.stream.destroy();
    await clock.advance(1_000);
  });

  it('runs the same way again from the same seed', async () => {
    const link = { latencyMs: 5, jitterMs: 5, lossShare: 0.05, pieceBytesMax: 400 };
    const run = async (seed: number) => {
      const { clock, dial, events, far } = await world(link, seed);
      const result = outcome(dial());
      await clock.advance(1_000);
      const script = seededRandom(seed);
      for (let step = 0; step < 30; step += 1) {
        result.end!.stream.write([script.bytes(1 + Math.floor(script.next() * 3_000))]);
        far()!.stream.write([script.bytes(100)]);
        await clock.advance(Math.floor(script.next() * 10));
      }
      result.end!.stream.end();
      far()!.stream.end();
      await clock.advance(2_000);
      return events;
    };
    for (const seed of [1, 2, 3]) assert.deepEqual(await run(seed), await run(seed));
    assert.notDeepEqual(await run(1), await run(2));
  });

  it('goes on after a cut in the middle of the handshake', async () => {
    const { clock, network, dial } = await world({ latencyMs: LATENCY_MS });
    const result = outcome(dial());
    await clock.advance(ROUND_TRIP_MS + LATENCY_MS + 1);
    network.partition(['a'], ['b']);
    await pass(clock, 2_000);
    assert.deepEqual(result, {});
    network.healAll();
    await pass(clock, 200);
    assert.ok(result.end !== undefined, String(result.error));
    result.end.stream.destroy();
    await pass(clock, 200);
  });

  it('ends at both deadlines when the path stays cut', async () => {
    const { clock, network, dial, far } = await world({ latencyMs: LATENCY_MS });
    const result = outcome(dial(3_000));
    await clock.advance(ROUND_TRIP_MS + LATENCY_MS + 1);
    network.partition(['a'], ['b']);
    let error: Error | undefined;
    void far()!.closed.then((given) => {
      error = given;
    });
    await pass(clock, 3_000);
    assert.equal((result.error as ExoError).code, 'handshake-timeout');
    await pass(clock, LIMITS.handshakeTimeoutMs);
    assert.equal((error as ExoError | undefined)?.code, 'handshake-timeout');
  });

  it('holds what is written, ended and paused before the handshake is done', async () => {
    const { clock, dial, far } = await world({ latencyMs: LATENCY_MS });
    const result = outcome(dial());
    await clock.advance(ROUND_TRIP_MS + LATENCY_MS + 1);
    const accepted = far()!;
    assert.equal(accepted.stream.secured, undefined);
    accepted.stream.pause();
    accepted.stream.write([Buffer.from('ear'), Buffer.from('ly')]);
    assert.equal(accepted.stream.unsentBytes, 5);
    accepted.stream.end();
    assert.equal(accepted.stream.write([Buffer.from('late')]), false);
    await pass(clock, LATENCY_MS);
    result.end!.stream.write([Buffer.from('there')]);
    await pass(clock, 500);
    assert.equal(result.end!.receivedBytes, 5);
    assert.equal(accepted.receivedBytes, 0);
    assert.ok(accepted.stream.secured !== undefined);
    await result.end!.ended;
    accepted.stream.resume();
    await pass(clock, 500);
    assert.equal(accepted.receivedBytes, 5);
    result.end!.stream.end();
    await pass(clock, 500);
    assert.equal(await accepted.closed, undefined);
    assert.equal(await result.end!.closed, undefined);
  });

  it('is plain from there on when the accepting end speaks first', async () => {
    const { clock, network, far } = await world({ latencyMs: LATENCY_MS });
    const result = outcome(network.transport('a').dial({ host: 'b', port: PORT }, { timeoutMs: 1_000 }));
    await pass(clock, 2 * ROUND_TRIP_MS);
    far()!.stream.write([Buffer.from('first')]);
    await pass(clock, ROUND_TRIP_MS);
    result.end!.stream.write([Buffer.from([0x16, 3, 1])]);
    await pass(clock, ROUND_TRIP_MS);
    assert.equal(result.end!.receivedBytes, 5);
    assert.equal(far()!.receivedBytes, 3);
    assert.equal(far()!.stream.secured, undefined);
    result.end!.stream.destroy();
    await pass(clock, ROUND_TRIP_MS);
  });

  for (const [direction, from, to] of [
    ['there', 'a', 'b'],
    ['back', 'b', 'a'],
  ] as const) {
    it(`ends with a reason at both ends when it breaks at any byte of the handshake, ${direction}`, async () => {
      let done = 0;
      for (let bytes = 1; done === 0 && bytes < 3_000; bytes += repeats(7, 1)) {
        const { clock, network, dial, far } = await world({ latencyMs: 1 });
        network.setLink(from, to, { latencyMs: 1, resetAfterBytes: bytes });
        const result = outcome(dial());
        await pass(clock, 50);
        if (result.end === undefined) {
          assert.ok(result.error instanceof ExoError, `${bytes}: ${String(result.error)}`);
          assert.match(result.error.code, /^(connection-closed|tls-failed)$/);
        } else if (far()?.closes === 0) {
          done = bytes;
          result.end.stream.destroy();
          await pass(clock, 50);
          continue;
        } else {
          assert.equal(result.end.closes, 1, `${bytes}: near is open`);
        }
        const error = await far()!.closed;
        assert.ok(error instanceof ExoError, `${bytes}: far ended without a reason`);
        assert.equal(far()!.receivedBytes, 0);
      }
      assert.ok(done > 300, `done after ${done} bytes`);
    });
  }
});
