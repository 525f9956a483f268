import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ByteStream, createMemoryNetwork } from '../../src/protocol/index.js';
import { LIMITS, seededRandom, VirtualClock } from '../../src/shared/index.js';
import { alive, type MeshWorld, meshNode } from '../support/memory-mesh.js';
import '../support/leaks.js';

describe('the listener of a node', () => {
  test('lets a peer in although silent connections hold every place', async () => {
    const clock = new VirtualClock();
    const random = seededRandom(1);
    const world: MeshWorld = { clock, random, network: createMemoryNetwork({ clock, random }) };
    const node = meshNode(world, { id: 'a', dials: [] });
    await node.start();
    const crowd: ByteStream[] = [];
    const open = new Set<ByteStream>();
    for (let n = 0; n < LIMITS.pendingHandshakes + 20; n++) {
      const dial = world.network
        .transport(`stranger${n % 8}`)
        .dial({ host: 'a', port: 50051 }, { timeoutMs: 1_000 });
      await clock.advance(1);
      const stream = await dial;
      open.add(stream);
      stream.onEnd = () => open.delete(stream);
      stream.onClose = () => open.delete(stream);
      crowd.push(stream);
    }
    const peer = meshNode(world, { id: 'b', dials: ['a'] });
    await peer.start();
    await clock.advance(2_000);
    assert.deepEqual(alive(node), ['b']);
    assert.ok(open.size <= LIMITS.pendingHandshakes, `${open.size} strangers are still open`);
    for (const stream of crowd) stream.destroy();
    const stopped = Promise.all([node.stop(), peer.stop()]);
    await clock.advance(10_000);
    await stopped;
  });
});
