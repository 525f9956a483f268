import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '../../src/protocol/index.js';
import { seededRandom, VirtualClock } from '../../src/shared/index.js';
import '../support/leaks.js';
import { alive, candidateFor, meshNode } from '../support/memory-mesh.js';

const LATENCY_MS = 50;

test('a dial that broke together with the connection of its peer does not make the peer dead', async () => {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const network = createMemoryNetwork({ clock, random }, { link: { latencyMs: LATENCY_MS } });
  const a = meshNode({ clock, random, network }, { id: 'a', dials: [] });
  const b = meshNode({ clock, random, network }, { id: 'b', dials: ['a'] });
  await Promise.all([a.start(), b.start()]);
  await clock.advance(2_000);
  assert.deepEqual(alive(a), ['b']);
  const states = new Set<string>();
  a.mesh.onChange(() => states.add(a.mesh.peers()[0]!.state));
  // The connection is made in one round trip; its hello is under way when the path resets everything.
  a.list.offer(candidateFor('b'));
  await clock.advance(2 * LATENCY_MS + 20);
  assert.equal(network.openStreams('a', 'b'), 2);
  network.reset('a', 'b');
  await clock.advance(5_000);
  assert.deepEqual([...states].sort(), ['alive', 'suspect']);
  assert.deepEqual(alive(a), ['b']);
  const stopped = Promise.all([a.stop(), b.stop()]);
  await clock.advance(5_000);
  await stopped;
});
