/** How fast the links are: measured by what they carry, by two pings where somebody plans, and not at all where nobody does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEngine, type InferenceEngine } from '../../src/inference/index.js';
import { LinkRates } from '../../src/node/link-rates.js';
import type { Peer } from '../../src/node/peer.js';
import { type Connection, createMemoryNetwork, type LinkProfile } from '../../src/protocol/index.js';
import { ExoError, LIMITS, seededRandom, VirtualClock } from '../../src/shared/index.js';
import { type MeshWorld, meshNode } from '../support/memory-mesh.js';

const MB = 1e6;
const LAYERS = 8;

/** The dummy, with figures to plan with. */
function measuredEngine(): InferenceEngine {
  const engine = createEngine('dummy');
  engine.profile = async () => ({
    memoryBytes: 1e9,
    bytesPerS: 1e9,
    multiplyAddsPerS: 1e10,
    layers: Array.from({ length: LAYERS }, () => ({ weightBytes: 1e6, multiplyAdds: 5e5, cacheBytes: 0 })),
  });
  return engine;
}

/** Two whole nodes, of which the first dials the second. */
async function pair(
  link: LinkProfile,
  body: (world: {
    readonly nodes: readonly [ReturnType<typeof meshNode>, ReturnType<typeof meshNode>];
    readonly clock: VirtualClock;
    run<T>(work: Promise<T>): Promise<T>;
  }) => Promise<void>,
  engine: () => InferenceEngine = measuredEngine,
): Promise<void> {
  const clock = new VirtualClock();
  const random = seededRandom(7);
  const world: MeshWorld = {
    clock,
    random,
    network: createMemoryNetwork({ clock, random }, { link }),
  };
  const nodes = [
    meshNode(world, { id: 'a', dials: ['b'], engine: engine() }),
    meshNode(world, { id: 'b', dials: [], engine: engine() }),
  ] as const;
  await Promise.all(nodes.map((node) => node.start()));
  await clock.advance(20_000);
  const run = async <T>(work: Promise<T>): Promise<T> => {
    let isSettled = false;
    const done = work.finally(() => {
      isSettled = true;
    });
    done.catch(() => undefined);
    for (let step = 0; !isSettled && step < 10_000; step += 1) await clock.advance(1);
    return done;
  };
  try {
    await body({ nodes, clock, run });
  } finally {
    const stopped = Promise.all(nodes.map((node) => node.stop()));
    await clock.advance(10_000);
    await stopped;
  }
  assert.equal(clock.pending, 0, 'no timer is left');
}

const rateOf = (node: ReturnType<typeof meshNode>) => node.mesh.peers()[0]!.bytesPerS;
const bytesOut = (node: ReturnType<typeof meshNode>) => node.mesh.peers()[0]!.bytesOut;

for (const [what, link, least, most] of [
  ['a cable', { latencyMs: 0.1, bytesPerSecond: 125 * MB }, 60 * MB, 160 * MB],
  ['wireless', { latencyMs: 8, bytesPerSecond: 12.5 * MB }, 6 * MB, 14 * MB],
  ['a home’s uplink', { latencyMs: 20, bytesPerSecond: 1 * MB }, 0.5 * MB, 1.2 * MB],
] as const satisfies ReadonlyArray<readonly [string, LinkProfile, number, number]>) {
  test(`link rate of ${what} is measured when somebody plans, and kept`, async () => {
    await pair(link, async ({ nodes: [a, b], clock, run }) => {
      assert.equal(rateOf(a), null, 'nobody has planned');
      const before = bytesOut(a);
      await run(a.chat.plan(undefined));
      await clock.advance(3_000);
      const rate = rateOf(a)!;
      assert.ok(rate > least && rate < most, `${(rate / MB).toFixed(1)} MB/s`);
      const cost = bytesOut(a) - before;
      assert.ok(cost < 400 * 1024, `${cost} bytes`);
      assert.equal(rateOf(b), null, 'the side that dialled measures');

      await clock.advance(LIMITS.offersKeptMs);
      const quiet = bytesOut(a);
      const { plan } = await run(b.chat.plan(undefined, { placement: { kind: 'split' } }));
      assert.ok(bytesOut(a) - quiet < 20_000, 'not again');
      assert.equal(plan.prediction!.isAssumed, false, 'the other one is told');
    });
  });
}

test('link rate is forgotten when it is old, and measured again only when somebody plans', async () => {
  await pair({ latencyMs: 1, bytesPerSecond: 20 * MB }, async ({ nodes: [a], clock, run }) => {
    await run(a.chat.plan(undefined));
    await clock.advance(3_000);
    assert.ok(rateOf(a)! > 0);
    await clock.advance(LIMITS.linkRateKeptMs);
    assert.equal(rateOf(a), null);
    await clock.advance(LIMITS.linkRateKeptMs);
    assert.equal(rateOf(a), null);
    await run(a.chat.plan(undefined));
    await clock.advance(3_000);
    assert.ok(rateOf(a)! > 0);
  });
});

test('link of nodes whose engines measure nothing is not measured', async () => {
  const dummy = () => createEngine('dummy');
  await pair(
    { latencyMs: 1, bytesPerSecond: 20 * MB },
    async ({ nodes: [a], clock, run }) => {
      await run(a.chat.plan(undefined));
      await clock.advance(5_000);
      assert.equal(rateOf(a), null);
    },
    dummy,
  );
});

/** A peer whose link answers pings after so long, or not at all. */
function scripted(
  clock: VirtualClock,
  answersAfterMs: () => number | undefined,
  more: Partial<Peer> & { readonly queuedBytes?: number } = {},
): { readonly peer: Peer; readonly asked: number[] } {
  const asked: number[] = [];
  const { queuedBytes = 0, ...facts } = more;
  const connection = {
    role: 'dialler',
    state: 'established',
    stats: { queuedBytes },
    get aliveAtMs() {
      return clock.now();
    },
    recycle: () => undefined,
    request: (message: { data: Buffer }, { timeoutMs }: { timeoutMs: number }) => {
      asked.push(message.data.length);
      return new Promise((resolve, reject) => {
        const tookMs = answersAfterMs();
        const late = () => reject(new ExoError('request-timeout', 'late'));
        if (tookMs === undefined || tookMs > timeoutMs) clock.after(timeoutMs, late);
        else clock.after(tookMs, () => resolve({ kind: 'pong', data: message.data }));
      });
    },
  } as unknown as Connection;
  const rtt = { srttMs: 1, minMs: 1, rttvarMs: 0, latestMs: 1, samples: 1 };
  const peer = { protocol: 'exo', state: 'alive', pingPending: false, rtt, link: { connection }, ...facts };
  return { peer: peer as unknown as Peer, asked };
}

async function refreshed(clock: VirtualClock, rates: LinkRates): Promise<void> {
  let isDone = false;
  void rates.refresh().then(() => {
    isDone = true;
  });
  for (let step = 0; !isDone && step < 10_000; step += 1) await clock.advance(10);
  assert.ok(isDone);
}

test('link rate takes the best of what was carried, and none of what is short', async () => {
  const clock = new VirtualClock();
  const { peer } = scripted(clock, () => 1);
  const rates = new LinkRates({ clock, peers: () => [peer] });
  const { connection } = peer.link!;
  rates.carried(peer, connection, 20_000, 1);
  assert.equal(rates.of(peer), null);
  rates.carried(peer, connection, 1_000_000, 11);
  rates.carried(peer, connection, 1_000_000, 501);
  assert.equal(rates.of(peer), 100 * MB);
  // All of it was round trip, as far as one can see.
  rates.carried(peer, connection, 1_000_000, 0.8);
  assert.equal(rates.of(peer), 10_000 * MB);
});

test('link that does not answer in time has no rate, and is tried again soon', async () => {
  const clock = new VirtualClock();
  let tookMs: number | undefined;
  const { peer, asked } = scripted(clock, () => tookMs);
  const rates = new LinkRates({ clock, peers: () => [peer] });
  await refreshed(clock, rates);
  assert.deepEqual(asked, [65_536]);
  assert.equal(rates.of(peer), null, 'a node that was busy says nothing of its link');
  await refreshed(clock, rates);
  assert.equal(asked.length, 1, 'not at once');

  tookMs = 6;
  await clock.advance(LIMITS.linkRetryMs);
  await refreshed(clock, rates);
  assert.equal(asked.length, 3);
  assert.ok(rates.of(peer)! > 20 * MB, `${rates.of(peer)}`);
  await clock.advance(LIMITS.linkRetryMs);
  await refreshed(clock, rates);
  assert.equal(asked.length, 3, 'it was measured');
});

test('link whose messages were slow is measured all the same', async () => {
  const clock = new VirtualClock();
  const { peer } = scripted(clock, () => 6);
  const rates = new LinkRates({ clock, peers: () => [peer] });
  // By a node that was busy.
  rates.carried(peer, peer.link!.connection, 100_000, 2_000);
  assert.ok(rates.of(peer)! < 0.1 * MB);
  await refreshed(clock, rates);
  assert.ok(rates.of(peer)! > 20 * MB, `${rates.of(peer)}`);
});

test('links that fail leave room for others', async () => {
  const clock = new VirtualClock();
  const near = Array.from({ length: 12 }, () => scripted(clock, () => undefined));
  const rtt = { srttMs: 9, minMs: 1, rttvarMs: 0, latestMs: 9, samples: 1 };
  const far = scripted(clock, () => 20, { rtt });
  const rates = new LinkRates({ clock, peers: () => [...near, far].map(({ peer }) => peer) });
  await refreshed(clock, rates);
  assert.equal(rates.of(far.peer), null, 'the nearest first');
  await clock.advance(60_000);
  await refreshed(clock, rates);
  assert.ok(rates.of(far.peer)! > 0);
});

test('link that is busy, suspect, or waits for a heartbeat is not measured', async () => {
  const clock = new VirtualClock();
  const links = [
    scripted(clock, () => 1, { queuedBytes: 100_000 }),
    scripted(clock, () => 1, { state: 'suspect' }),
    scripted(clock, () => 1, { pingPending: true }),
    scripted(clock, () => 1, { rtt: undefined } as Partial<Peer>),
    scripted(clock, () => 1, { protocol: 'legacy' }),
  ];
  const rates = new LinkRates({ clock, peers: () => links.map(({ peer }) => peer) });
  await refreshed(clock, rates);
  assert.deepEqual(
    links.flatMap(({ asked }) => asked),
    [],
  );
});

test('links are measured one at a time, and no more than a few a minute', async () => {
  const clock = new VirtualClock();
  const links = Array.from({ length: 30 }, () => scripted(clock, () => 5));
  const rates = new LinkRates({ clock, peers: () => links.map(({ peer }) => peer) });
  await Promise.all([refreshed(clock, rates), rates.refresh()]);
  const count = () => links.filter(({ asked }) => asked.length > 0).length;
  assert.equal(count(), LIMITS.linkProbesPerMinute);
  await clock.advance(60_000);
  await refreshed(clock, rates);
  assert.equal(count(), 2 * LIMITS.linkProbesPerMinute);
  rates.stop();
  await clock.advance(60_000);
  await refreshed(clock, rates);
  assert.equal(count(), 2 * LIMITS.linkProbesPerMinute);
});
