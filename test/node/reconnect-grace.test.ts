/** A peer whose connection broke is not given up while a way back to it is being made: whole nodes over the in-memory network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '../../src/protocol/index.js';
import { LIMITS, seededRandom, VirtualClock } from '../../src/shared/index.js';
import '../support/leaks.js';
import { alive, candidateFor, meshNode } from '../support/memory-mesh.js';

const LONG_UP_MS = 4_000;
const PORT = 50051;

/** Two nodes that have been connected for a while, and what `a` and `b` call each other from then on, once per change. */
async function pair(dials: Readonly<Record<'a' | 'b', readonly string[]>>) {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const network = createMemoryNetwork({ clock, random });
  const a = meshNode({ clock, random, network }, { id: 'a', dials: dials.a });
  const b = meshNode({ clock, random, network }, { id: 'b', dials: dials.b });
  await Promise.all([a.start(), b.start()]);
  await clock.advance(LONG_UP_MS);
  assert.deepEqual([alive(a), alive(b)], [['b'], ['a']]);
  const shown = { a: watch(a), b: watch(b) };
  const stop = async () => {
    const stopped = Promise.all([a.stop(), b.stop()]);
    await clock.advance(5_000);
    await stopped;
  };
  return { clock, network, a, b, shown, stop };
}

function watch(node: ReturnType<typeof meshNode>): string[] {
  const shown: string[] = [];
  node.mesh.onChange(() => {
    const { state } = node.mesh.peers()[0]!;
    if (shown.at(-1) !== state) shown.push(state);
  });
  return shown;
}

test('a peer is not given up while the own dial to it is under way, however slow the path', async () => {
  const { clock, network, shown, stop } = await pair({ a: ['b'], b: ['a'] });
  // The dial takes 2 s, its hello 2 s more.
  network.setLinks('a', 'b', { latencyMs: 1_000 });
  network.reset('a', 'b');
  await clock.advance(9_000);
  const states = { a: [...shown.a], b: [...shown.b] };
  await stop();
  assert.deepEqual(states, { a: ['suspect', 'alive'], b: ['suspect', 'alive'] });
});

test('a peer that only dials in is not given up while a connection from there has not said hello', async () => {
  const { clock, network, a, shown, stop } = await pair({ a: ['b'], b: [] });
  a.list.withdraw('manual:b');
  const dial = network.transport('a').dial({ host: 'b', port: PORT }, { timeoutMs: 1_000 });
  await clock.advance(LIMITS.reconnectGraceMs + 1_000);
  assert.deepEqual(shown.b, ['suspect']);
  (await dial).destroy();
  await clock.advance(1_000);
  const states = [...shown.b];
  await stop();
  assert.deepEqual(states, ['suspect', 'dead']);
});

test('a peer is not given up because one of its addresses is refused while another is being dialled', async () => {
  const { clock, network, a, shown, stop } = await pair({ a: ['b'], b: ['a'] });
  a.list.offer(candidateFor('nobody', { key: 'manual:other', claimedId: 'b' }));
  await clock.advance(10);
  shown.a.length = 0;
  network.setLinks('a', 'b', { latencyMs: 500 });
  network.reset('a', 'b');
  await clock.advance(9_000);
  const states = [...shown.a];
  await stop();
  assert.deepEqual(states, ['suspect', 'alive']);
});

test('a peer that nobody answers for is dead when the dial has failed', async () => {
  const { clock, network, shown, stop } = await pair({ a: ['b'], b: [] });
  network.setLinks('a', 'b', { latencyMs: 50 });
  network.reset('a', 'b');
  await clock.advance(10);
  network.vanish('b');
  await clock.advance(LIMITS.reconnectGraceMs + 1_000);
  const early = [...shown.a];
  await clock.advance(LIMITS.connectTimeoutMs);
  const late = [...shown.a];
  network.restore('b');
  await stop();
  assert.deepEqual([early, late], [['suspect'], ['suspect', 'dead']]);
});
