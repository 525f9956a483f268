/** Membership when paths, peers and hubs misbehave: whole nodes over the in-memory network, on virtual time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Heartbeat } from '../../src/node/heartbeat.js';
import { type Link, Peer } from '../../src/node/peer.js';
import { createMemoryNetwork, type LinkName, type MemoryNetwork } from '../../src/protocol/index.js';
import { LIMITS, seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { percentile } from '../support/half-open.js';
import { alive, type MeshWorld, meshNode } from '../support/memory-mesh.js';
import { NapClock } from '../support/nap-clock.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';

type LabNode = ReturnType<typeof meshNode>;
type World = MeshWorld & { readonly clock: VirtualClock };

function world(seed: number): World {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  return { clock, random, network: createMemoryNetwork({ clock, random }) };
}

async function stopAll(clock: VirtualClock, nodes: readonly LabNode[]): Promise<void> {
  const stopped = Promise.all(nodes.map((node) => node.stop()));
  await clock.advance(10_000);
  await stopped;
}

/** Nodes of which each dials all before it, connected. */
async function meshOf(w: World, ids: readonly string[]): Promise<LabNode[]> {
  const nodes = ids.map((id, index) => meshNode(w, { id, dials: ids.slice(0, index) }));
  await Promise.all(nodes.map((node) => node.start()));
  await w.clock.advance(5_000);
  return nodes;
}

/** What a node shows of a peer. */
const shown = (node: LabNode, id: string) => node.mesh.peers().find((peer) => peer.id === id);

/** Moves time on in small steps until `holds`; returns how much passed. */
async function until(clock: VirtualClock, limitMs: number, holds: () => boolean): Promise<number> {
  const startedMs = clock.now();
  while (!holds()) {
    assert.ok(clock.now() - startedMs < limitMs, `not within ${limitMs} ms`);
    await clock.advance(50);
  }
  return clock.now() - startedMs;
}

describe('a member that one other does not hear', () => {
  test('is suspect with the word of whoever reaches it, and dead later than one that nobody reaches', async () => {
    const w = world(1);
    const [a, b, c] = (await meshOf(w, ['a', 'b', 'c'])) as [LabNode, LabNode, LabNode];
    w.network.partition(['a'], ['b']);
    await until(w.clock, LIMITS.suspectAfterMs + 1_500, () => shown(a, 'b')?.state === 'suspect');
    await until(w.clock, 3_000, () => shown(a, 'b')?.reason.includes('but c reaches it') === true);
    // Longer than one is waited for that has no witness.
    await w.clock.advance(LIMITS.deadAfterMs - 2_000);
    assert.equal(shown(a, 'b')?.state, 'suspect');
    await until(w.clock, LIMITS.deadAfterMs, () => shown(a, 'b')?.state === 'dead');
    assert.deepEqual(alive(c), ['a', 'b']);
    await stopAll(w.clock, [a, b, c]);
  });

  test('is dead within 12 s when it is gone for all', async () => {
    const w = world(2);
    const nodes = await meshOf(w, ['a', 'b', 'c', 'd']);
    w.network.vanish('d');
    const others = nodes.slice(0, 3);
    const suspectMs = await until(w.clock, 6_000, () =>
      others.every((node) => shown(node, 'd')?.state === 'suspect'),
    );
    const deadMs =
      suspectMs +
      (await until(w.clock, 7_000, () => others.every((node) => shown(node, 'd')?.state === 'dead')));
    assert.ok(suspectMs <= 6_000 && deadMs <= 12_000, `suspect ${suspectMs} ms, dead ${deadMs} ms`);
    await stopAll(w.clock, nodes);
  });
});

describe('a member that comes and goes', () => {
  test('is held back after flapsMax deaths in a minute: the view is not shaken each time, and it is a member again when it stays', async () => {
    const w = world(3);
    const [a, b] = (await meshOf(w, ['a', 'b'])) as [LabNode, LabNode];
    const views: number[] = [];
    const unsubscribe = a.mesh.onChange(() => {
      const count = a.mesh.topology().nodes.size;
      if (views.at(-1) !== count) views.push(count);
    });
    let sawHeld = false;
    let outsiders: ReadonlyArray<{ readonly id: string; readonly reason: string }> = [];
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      w.network.setLinks('a', 'b', { refuse: true });
      w.network.reset('a', 'b');
      await w.clock.advance(1_600);
      w.network.setLinks('a', 'b', {});
      await w.clock.advance(1_400);
      const peer = shown(a, 'b');
      const isHeld = peer?.state === 'connecting' && peer.reason.includes('times within a minute');
      if (isHeld && !sawHeld) {
        const planned = a.chat.plan(undefined);
        await w.clock.advance(10);
        outsiders = (await planned).plan.outsiders;
      }
      sawHeld ||= isHeld;
    }
    unsubscribe();
    assert.deepEqual(
      outsiders.map(({ id }) => id),
      ['b'],
      'a ring without it says so',
    );
    assert.match(outsiders[0]!.reason, /^not a member yet: .* times within a minute/);
    const deaths = views.filter((count) => count === 1).length;
    assert.ok(sawHeld, 'it says so');
    assert.ok(
      deaths >= LIMITS.flapsMax && deaths <= LIMITS.flapsMax + 4,
      `${deaths} deaths seen in ${rounds} rounds`,
    );
    await until(
      w.clock,
      2 * LIMITS.flapHoldMsMax + 3_000,
      () => alive(a).length === 1 && alive(b).length === 1,
    );
    await w.clock.advance(2_000);
    assert.equal(a.mesh.topology().digest, b.mesh.topology().digest);
    assert.equal(w.network.openStreams('a', 'b'), 1);
    await stopAll(w.clock, [a, b]);
  });
});

describe('a machine that sleeps', () => {
  test('accuses nobody when it wakes, and is back with all at once', async () => {
    const w = world(4);
    const nap = new NapClock(w.clock);
    const sleeper = meshNode({ ...w, clock: nap }, { id: 'sleeper', dials: ['b', 'c'] });
    const others = ['b', 'c'].map((id) => meshNode(w, { id, dials: id === 'c' ? ['b'] : [] }));
    await Promise.all([sleeper, ...others].map((node) => node.start()));
    await until(w.clock, 5_000, () => alive(sleeper).length === 2);
    let accused = 0;
    sleeper.mesh.onChange(() => {
      if (sleeper.mesh.peers().some(({ state }) => state === 'dead')) accused += 1;
    });
    nap.sleep();
    w.network.freeze('sleeper');
    await until(w.clock, 15_000, () => others.every((node) => shown(node, 'sleeper')?.state === 'dead'));
    await w.clock.advance(3_600_000);
    w.network.thaw('sleeper');
    nap.wake();
    const backMs = await until(w.clock, 5_000, () =>
      [sleeper, ...others].every((node) => alive(node).length === 2),
    );
    assert.equal(accused, 0);
    assert.ok(backMs <= 5_000);
    await stopAll(w.clock, [sleeper, ...others]);
  });

  test('dials anew where its own connection says nothing after a long sleep, and leaves the others be', async () => {
    const world = new VirtualClock();
    const clock = new NapClock(world);
    const closed: string[] = [];
    const peers = (['silent', 'answers', 'dialled us'] as const).map((id) => {
      const peer = new Peer(id, 'exo');
      peer.state = 'alive';
      const connection = {
        aliveAtMs: 0,
        close: async () => void closed.push(id),
      };
      const link = { connection, outgoing: id !== 'dialled us', diallerId: '', priority: 0, serial: 0 };
      peer.links.push(link as unknown as Link);
      return { peer, connection };
    });
    const table = {
      all: () => peers.map(({ peer }) => peer),
      get: () => undefined,
      ping: async () => 1,
      judge: () => undefined,
      declareDead: (peer: Peer) => assert.fail(`${peer.id} is accused`),
      forget: () => undefined,
      redial: () => undefined,
    };
    const heartbeat = new Heartbeat(table, {
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      isMeeting: () => false,
    });
    await heartbeat.start();
    await world.advance(1_000);
    clock.sleep();
    await world.advance(60_000);
    clock.wake();
    peers[1]!.connection.aliveAtMs = world.now() + 1;
    await world.advance(LIMITS.wakeProbeMs - 600);
    assert.deepEqual(closed, []);
    await world.advance(700);
    assert.deepEqual(closed, ['silent']);
    await heartbeat.stop();
  });
});

describe('a machine that comes back as a new start of itself', () => {
  for (const [name, aheadMs] of [
    ['later', 60_000],
    ['with its clock set back by an hour', -3_600_000],
  ] as const) {
    test(`${name}, leaves no ghost: every view shows what it is now`, async () => {
      const w = world(6);
      const [a, b, c] = (await meshOf(w, ['a', 'b', 'c'])) as [LabNode, LabNode, LabNode];
      w.network.vanish('c');
      await until(w.clock, 15_000, () => [a, b].every((node) => shown(node, 'c')?.state === 'dead'));
      // What ran there is gone with its machine; its stop tells nobody.
      const stopped = c.stop();
      await w.clock.advance(10_000);
      await stopped;
      w.network.restore('c');
      const epoch = Math.floor(w.clock.wall()) + aheadMs;
      const again = meshNode(w, { id: 'c', dials: ['a'], memoryMb: 4_096, node: { epoch } });
      await again.start();
      const nodes = [a, b, again];
      await until(w.clock, 30_000, () =>
        nodes.every((node) => {
          const view = node.mesh.topology();
          return view.nodes.get('c')?.memory === 4_096 && view.digest === a.mesh.topology().digest;
        }),
      );
      for (const node of nodes) {
        const peers = node.mesh.peers().map(({ id }) => id);
        assert.equal(new Set(peers).size, peers.length, 'nobody is listed twice');
      }
      await stopAll(w.clock, nodes);
    });
  }
});

describe('an outage', () => {
  const cases = [
    { name: '10 s', outageMs: 10_000, limitMs: 3_000, percent: 95, seeds: repeats(20, 200) },
    { name: '5 min', outageMs: 300_000, limitMs: 32_000, percent: 100, seeds: repeats(5, 50) },
  ];
  for (const { name, outageMs, limitMs, percent, seeds } of cases) {
    test(`M6 of ${name} ends within ${limitMs / 1000} s of the path's return`, async (t) => {
      const times: number[] = [];
      for (let seed = 1; seed <= seeds; seed++) {
        const w = world(seed);
        const nodes = await meshOf(w, ['a', 'b']);
        w.network.partition(['a'], ['b']);
        await w.clock.advance(outageMs + seed * 37);
        w.network.healAll();
        times.push(await until(w.clock, 40_000, () => nodes.every((node) => alive(node).length === 1)));
        await stopAll(w.clock, nodes);
      }
      const back = percentile(times, percent);
      assert.ok(back <= limitMs, `${back} ms`);
      promise(
        t,
        'M6',
        `outage of ${name}: back ${(back / 1000).toFixed(1)} s p${percent} of ${seeds} (in memory)`,
      );
    });
  }
});

describe('a link of the ladder', () => {
  const minutes = repeats(10, 60);
  for (const [link, allowed] of [
    ['good-wifi', 0],
    ['congested-wifi', 0],
    ['weak-4g', 0],
    ['slow-3g', 0],
    ['congested-cellular', 1],
  ] as const satisfies ReadonlyArray<readonly [LinkName, number]>) {
    test(`M3 ${link} kills ${allowed === 0 ? 'nobody' : 'at most one'} in ${minutes} min`, async (t) => {
      const w = world(5);
      const ids = ['a', 'b', 'c'];
      for (const [one, other] of [
        ['a', 'b'],
        ['a', 'c'],
        ['b', 'c'],
      ] as const)
        w.network.setLinks(one, other, link);
      const nodes = await meshOf(w, ids);
      await until(w.clock, 10_000, () => nodes.every((node) => alive(node).length === 2));
      let deaths = 0;
      let suspicions = 0;
      const states = new Map<string, string>();
      for (const node of nodes) {
        node.mesh.onChange(() => {
          for (const peer of node.mesh.peers()) {
            const key = `${node.mesh.self().id}-${peer.id}`;
            if (states.get(key) !== peer.state && peer.state === 'dead') deaths += 1;
            if (states.get(key) !== peer.state && peer.state === 'suspect') suspicions += 1;
            states.set(key, peer.state);
          }
        });
      }
      const pings = w.clock.every(2_000, () => {
        for (const node of nodes) {
          for (const id of ids)
            if (id !== node.mesh.self().id) node.mesh.ping(id, { timeoutMs: 5_000 }).catch(() => undefined);
        }
      });
      await w.clock.advance(minutes * 60_000);
      pings.cancel();
      assert.ok(deaths <= allowed, `${deaths} false deaths, ${suspicions} suspicions`);
      promise(
        t,
        'M3',
        `${link}: ${deaths} false deaths in ${minutes} min (in memory, ${suspicions} suspicions)`,
      );
      await stopAll(w.clock, nodes);
    });
  }
});

describe('a hundred nodes whose hub restarts', () => {
  /** A network that counts when its hosts dial. */
  function counting(network: MemoryNetwork, clock: VirtualClock, dialsAtMs: number[]): MemoryNetwork {
    const counted = Object.create(network) as MemoryNetwork;
    counted.transport = (host) => {
      const transport = network.transport(host);
      return {
        listen: (address, onStream) => transport.listen(address, onStream),
        dial: (address, how) => {
          dialsAtMs.push(clock.now());
          return transport.dial(address, how);
        },
      };
    };
    return counted;
  }

  test('M7 dial it in no wave: the peak after the first second is at most twice the mean', async (t) => {
    const clock = new VirtualClock();
    const random = seededRandom(7);
    const dialsAtMs: number[] = [];
    const network = counting(createMemoryNetwork({ clock, random }), clock, dialsAtMs);
    const w = { clock, random, network };
    const hub = meshNode(w, { id: 'hub', dials: [] });
    const spokes = Array.from({ length: 99 }, (_, index) => meshNode(w, { id: `n${index}`, dials: ['hub'] }));
    await Promise.all([hub, ...spokes].map((node) => node.start()));
    await until(clock, 10_000, () => alive(hub).length === 99);
    // The process is killed and started again: its host goes on answering.
    const lostAtMs = clock.now();
    const stopped = hub.stop();
    await clock.advance(6_000);
    await stopped;
    const again = meshNode(w, { id: 'hub', dials: [] });
    await again.start();
    const backMs = await until(clock, 20_000, () => alive(again).length === 99);
    const endMs = clock.now();
    const perSecond = new Array<number>(Math.ceil((endMs - lostAtMs) / 1_000)).fill(0);
    for (const atMs of dialsAtMs) {
      if (atMs >= lostAtMs) perSecond[Math.floor((atMs - lostAtMs) / 1_000)]! += 1;
    }
    // Seconds of which the hub was away, but the first.
    const later = perSecond.slice(1, 6);
    const mean = later.reduce((sum, count) => sum + count, 0) / later.length;
    const peak = Math.max(...perSecond.slice(1));
    t.diagnostic(`dials in each second: ${perSecond.join(' ')}; all back ${backMs} ms after the hub`);
    assert.ok(peak <= 2 * mean, `peak ${peak}, mean ${mean}`);
    promise(
      t,
      'M7',
      `peak ${peak} dials/s, mean ${mean.toFixed(0)} dials/s; all back ${(backMs / 1000).toFixed(1)} s after the hub`,
    );
    await stopAll(clock, [again, ...spokes]);
  });
});
