import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createMemoryNetwork } from '../../src/protocol/index.js';
import { seededRandom, VirtualClock } from '../../src/shared/index.js';
import { alive, candidateFor, type MeshWorld, meshNode, relay } from '../support/memory-mesh.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';

/** A fresh network on virtual time. */
function world(seed: number): MeshWorld & { readonly clock: VirtualClock } {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  return { clock, random, network: createMemoryNetwork({ clock, random }) };
}

type LabNode = ReturnType<typeof meshNode>;

async function stopAll(clock: VirtualClock, nodes: readonly LabNode[]): Promise<void> {
  const stopped = Promise.all(nodes.map((node) => node.stop()));
  await clock.advance(10_000);
  await stopped;
}

/** The edges of a view as `a-b` strings. */
function edges(node: LabNode): string[] {
  return node.mesh
    .topology()
    .edges.map(({ fromId, toId }) => `${fromId}-${toId}`)
    .sort();
}

describe('two nodes', () => {
  test('list each other and both directions of the edge when only one can dial', async () => {
    const w = world(1);
    const a = meshNode(w, { id: 'a', dials: ['b'] });
    const b = meshNode(w, { id: 'b', dials: [] });
    await Promise.all([a.start(), b.start()]);
    await w.clock.advance(1_000);
    for (const node of [a, b]) {
      assert.deepEqual(edges(node), ['a-b', 'b-a']);
      assert.deepEqual([...node.mesh.topology().nodes.keys()], ['a', 'b']);
    }
    assert.equal(a.mesh.peers()[0]!.direction, 'out');
    assert.equal(b.mesh.peers()[0]!.direction, 'in');
    await stopAll(w.clock, [a, b]);
  });

  test('settle on one connection after a simultaneous open, for every seed', async (t) => {
    const runs = repeats(40, 1_000);
    for (let seed = 1; seed <= runs; seed++) {
      const w = world(seed);
      w.network.setLinks('a', 'b', { latencyMs: 1 + (seed % 40), jitterMs: seed % 20 });
      const a = meshNode(w, { id: 'a', dials: ['b'] });
      const b = meshNode(w, { id: 'b', dials: ['a'] });
      await Promise.all([a.start(), b.start()]);
      await w.clock.advance(15_000);
      assert.deepEqual(alive(a), ['b'], `seed ${seed}`);
      assert.deepEqual(alive(b), ['a'], `seed ${seed}`);
      assert.equal(w.network.openStreams('a', 'b'), 1, `seed ${seed}: connections that survive`);
      assert.equal(a.mesh.topology().digest, b.mesh.topology().digest, `seed ${seed}`);
      await stopAll(w.clock, [a, b]);
    }
    promise(t, 'H3', `${runs} of ${runs} seeds: one connection survives`);
  });

  test('are never shown apart while one connection takes over from another', async () => {
    const runs = repeats(40, 1_000);
    for (let seed = 1; seed <= runs; seed++) {
      const w = world(seed);
      w.network.setLinks('a', 'b', { latencyMs: 1 + (seed % 40), jitterMs: seed % 20 });
      const a = meshNode(w, { id: 'a', dials: ['b'] });
      const b = meshNode(w, { id: 'b', dials: ['a'] });
      const turns: string[] = [];
      for (const node of [a, b]) {
        let linked = false;
        node.mesh.onChange(() => {
          const now = node.mesh.topology().edges.length > 0;
          if (now !== linked) turns.push(`${node.mesh.self().id} ${now ? 'linked' : 'apart'}`);
          linked = now;
        });
      }
      await Promise.all([a.start(), b.start()]);
      await w.clock.advance(5_000);
      assert.deepEqual(turns.sort(), ['a linked', 'b linked'], `seed ${seed}`);
      for (const node of [a, b]) assert.equal(node.mesh.topology().edges.length, 2, `seed ${seed}`);
      await stopAll(w.clock, [a, b]);
    }
  });

  test('a restarted node takes the place of its earlier start', async () => {
    const w = world(3);
    const a = meshNode(w, { id: 'a', dials: ['b'] });
    const b = meshNode(w, { id: 'b', dials: ['a'] });
    await Promise.all([a.start(), b.start()]);
    await w.clock.advance(1_000);
    w.network.reset('a', 'b');
    await stopAll(w.clock, [b]);
    await w.clock.advance(5_000);
    assert.deepEqual(alive(a), []);
    const again = meshNode(w, { id: 'b', dials: ['a'] });
    await again.start();
    await w.clock.advance(3_000);
    assert.deepEqual(alive(a), ['b']);
    assert.deepEqual(a.mesh.warnings(), []);
    await stopAll(w.clock, [a, again]);
  });

  test('an address that leads back to the node is refused in words', async () => {
    const w = world(4);
    const a = meshNode(w, { id: 'a', dials: ['a'] });
    await a.start();
    await w.clock.advance(1_000);
    const [refusal] = a.mesh.refusals();
    assert.equal(refusal?.code, 'self-address');
    assert.match(refusal.reason, /leads back to this node/);
    assert.deepEqual(alive(a), []);
    await stopAll(w.clock, [a]);
  });

  test('a peer whose host vanishes is suspect after 5 s, dead after 10 s, and back when it returns', async () => {
    const w = world(5);
    const a = meshNode(w, { id: 'a', dials: ['b'] });
    const b = meshNode(w, { id: 'b', dials: ['a'] });
    await Promise.all([a.start(), b.start()]);
    await w.clock.advance(3_000);
    w.network.partition(['a'], ['b']);
    await w.clock.advance(8_000);
    assert.equal(a.mesh.peers()[0]!.state, 'suspect');
    await w.clock.advance(4_000);
    assert.equal(a.mesh.peers()[0]!.state, 'dead');
    assert.deepEqual([...a.mesh.topology().nodes.keys()], ['a']);
    w.network.healAll();
    await w.clock.advance(11_000);
    assert.deepEqual(alive(a), ['b']);
    assert.deepEqual(edges(a), ['a-b', 'b-a']);
    await stopAll(w.clock, [a, b]);
  });

  test('a peer removed from the configuration is let go, and dialled again when it is back', async () => {
    const w = world(6);
    const a = meshNode(w, { id: 'a', dials: ['b'] });
    const b = meshNode(w, { id: 'b', dials: [] });
    await Promise.all([a.start(), b.start()]);
    await w.clock.advance(1_000);
    a.list.withdraw('manual:b');
    await w.clock.advance(2_000);
    assert.deepEqual(alive(a), []);
    assert.deepEqual(alive(b), []);
    a.list.offer(candidateFor('b'));
    await w.clock.advance(1_000);
    assert.deepEqual(alive(a), ['b']);
    await stopAll(w.clock, [a, b]);
  });

  test('an alias from the configuration finds the peer by ping', async () => {
    const w = world(7);
    const a = meshNode(w, { id: 'a', dials: [] });
    const b = meshNode(w, { id: 'b', dials: [] });
    await Promise.all([a.start(), b.start()]);
    a.list.offer(candidateFor('b', { key: 'manual:x', claimedId: 'remote-node-1' }));
    await w.clock.advance(1_000);
    const reply = a.mesh.ping('remote-node-1', { timeoutMs: 1_000 });
    await w.clock.advance(100);
    assert.equal((await reply).id, 'b');
    assert.deepEqual(a.mesh.peers()[0]!.aliases, ['remote-node-1']);
    await assert.rejects(a.mesh.ping('nobody', { timeoutMs: 1_000 }), { code: 'peer-unknown' });
    await stopAll(w.clock, [a, b]);
  });
});

describe('a member whose connection breaks for a moment', () => {
  test('learns at once what was told meanwhile, for every seed', async () => {
    const runs = repeats(40, 1_000);
    for (let seed = 1; seed <= runs; seed++) {
      const w = world(seed);
      const hub = meshNode(w, { id: 'hub', dials: [] });
      const leaf = meshNode(w, { id: 'leaf', dials: ['hub'] });
      const newcomer = meshNode(w, { id: 'newcomer', dials: ['hub'] });
      await Promise.all([hub.start(), leaf.start()]);
      await w.clock.advance(5_000 + seed);
      w.network.reset('leaf', 'hub');
      w.network.partition(['leaf'], ['hub']);
      await newcomer.start();
      await w.clock.advance(seed * 20);
      w.network.healAll();
      await w.clock.advance(3_000);
      for (const node of [hub, leaf, newcomer]) {
        assert.deepEqual(
          [...node.mesh.topology().nodes.keys()],
          ['hub', 'leaf', 'newcomer'],
          `seed ${seed}: ${node.mesh.self().id}`,
        );
      }
      await stopAll(w.clock, [hub, leaf, newcomer]);
    }
  });
});

describe('two paths to one peer', () => {
  for (const [first, second] of [
    ['slow', 'fast'],
    ['fast', 'slow'],
  ] as const) {
    test(`the faster stays when the ${first} one is found first`, async () => {
      const w = world(10);
      // Two machines stand for two interfaces of b: a relay hands what arrives at them to b.
      const b = meshNode(w, { id: 'b', dials: [] });
      w.network.setLinks('a', 'slow', { latencyMs: 20 });
      w.network.setLinks('a', 'fast', { latencyMs: 2 });
      await b.start();
      const relays = await Promise.all(['slow', 'fast'].map((host) => relay(w, host, 'b')));
      const a = meshNode(w, { id: 'a', dials: [first] });
      await a.start();
      await w.clock.advance(1_000);
      a.list.offer(candidateFor(second));
      await w.clock.advance(3_000);
      assert.equal(a.mesh.peers()[0]!.address.split(':')[0], 'fast');
      assert.equal(w.network.openStreams('a', 'fast'), 1);
      assert.equal(w.network.openStreams('a', 'slow'), 0);
      assert.deepEqual(alive(b), ['a']);
      await stopAll(w.clock, [a, b]);
      await Promise.all(relays.map((listener) => listener.stop()));
    });
  }

  test('the higher priority stays, whatever its round trip is', async () => {
    const w = world(11);
    const b = meshNode(w, { id: 'b', dials: [] });
    w.network.setLinks('a', 'wifi', { latencyMs: 1 });
    w.network.setLinks('a', 'wire', { latencyMs: 5 });
    await b.start();
    const relays = await Promise.all(['wifi', 'wire'].map((host) => relay(w, host, 'b')));
    const a = meshNode(w, { id: 'a', dials: [] });
    await a.start();
    a.list.offer(candidateFor('wifi', { priority: 3 }));
    await w.clock.advance(1_000);
    a.list.offer(candidateFor('wire', { priority: 5 }));
    await w.clock.advance(3_000);
    assert.equal(a.mesh.peers()[0]!.address.split(':')[0], 'wire');
    await stopAll(w.clock, [a, b]);
    await Promise.all(relays.map((listener) => listener.stop()));
  });
});

describe('two machines with one id', () => {
  test('are reported on both and by whom they meet, and never merged', async () => {
    const w = world(8);
    const hub = meshNode(w, { id: 'hub', dials: [] });
    const one = meshNode(w, { id: 'twin', host: 'host1', dials: ['hub'] });
    const two = meshNode(w, { id: 'twin', host: 'host2', dials: ['hub'] });
    await Promise.all([hub.start(), one.start()]);
    await w.clock.advance(2_000);
    await two.start();
    await w.clock.advance(8_000);
    for (const node of [hub, one, two]) {
      assert.ok(
        node.mesh.warnings().some((warning) => warning.code === 'duplicate-id'),
        `${node.mesh.self().id} ${node.mesh.self().nodeHost}: ${JSON.stringify(node.mesh.warnings())}`,
      );
    }
    assert.deepEqual(alive(hub), ['twin']);
    assert.equal(hub.mesh.peers()[0]!.address.split(':')[0], 'host1');
    assert.deepEqual(alive(two), []);
    await stopAll(w.clock, [hub, one, two]);
  });

  test('are reported on both when they meet directly', async () => {
    const w = world(9);
    const one = meshNode(w, { id: 'twin', host: 'host1', dials: ['host2'] });
    const two = meshNode(w, { id: 'twin', host: 'host2', dials: [] });
    await Promise.all([one.start(), two.start()]);
    await w.clock.advance(2_000);
    for (const node of [one, two]) {
      assert.deepEqual(
        node.mesh.warnings().map((warning) => warning.code),
        ['duplicate-id'],
      );
      assert.deepEqual(alive(node), []);
    }
    await stopAll(w.clock, [one, two]);
  });
});

describe('five nodes', () => {
  test('agree again within 15 s after a partition of 2 and 3 for 60 s, for every seed', async () => {
    const seeds = repeats(50, 1_000);
    const ids = ['a', 'b', 'c', 'd', 'e'];
    for (let seed = 1; seed <= seeds; seed++) {
      const w = world(seed);
      const nodes = ids.map((id, index) => meshNode(w, { id, dials: ids.slice(0, index) }));
      await Promise.all(nodes.map((node) => node.start()));
      await w.clock.advance(5_000);
      const before = nodes.map((node) => node.mesh.topology().digest);
      assert.equal(new Set(before).size, 1, `seed ${seed}: views differ before the partition`);
      w.network.partition(['a', 'b'], ['c', 'd', 'e']);
      await w.clock.advance(60_000);
      assert.deepEqual([...nodes[0]!.mesh.topology().nodes.keys()], ['a', 'b'], `seed ${seed}`);
      assert.deepEqual([...nodes[4]!.mesh.topology().nodes.keys()], ['c', 'd', 'e'], `seed ${seed}`);
      w.network.healAll();
      await w.clock.advance(15_000);
      for (const node of nodes) {
        const view = node.mesh.topology();
        assert.deepEqual([...view.nodes.keys()], ids, `seed ${seed}: ${node.mesh.self().id}`);
        assert.equal(view.edges.length, 20, `seed ${seed}: ${node.mesh.self().id}`);
        assert.equal(view.digest, nodes[0]!.mesh.topology().digest, `seed ${seed}`);
        assert.equal(node.mesh.peers().length, 4, `seed ${seed}: duplicates`);
      }
      await stopAll(w.clock, nodes);
    }
  });
});
