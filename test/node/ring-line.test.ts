/** Whole nodes in a line: the ends hear of each other, and have no connection. A chat is answered wherever it is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '../../src/protocol/index.js';
import { seededRandom, VirtualClock } from '../../src/shared/index.js';
import { alive, type MeshWorld, meshNode } from '../support/memory-mesh.js';

type LabNode = ReturnType<typeof meshNode>;

/** Nodes n1, n2 …, each with a network only to its neighbours; memory in MB in this order. */
async function line(
  memoryMb: readonly number[],
  body: (nodes: readonly LabNode[], clock: VirtualClock) => Promise<void>,
): Promise<void> {
  const clock = new VirtualClock();
  const random = seededRandom(memoryMb.length);
  const world: MeshWorld = { clock, random, network: createMemoryNetwork({ clock, random }) };
  const id = (index: number) => `n${index + 1}`;
  const nodes = memoryMb.map((memory, index) => {
    for (let far = index + 2; far < memoryMb.length; far += 1) {
      world.network.cut(id(index), id(far));
      world.network.cut(id(far), id(index));
    }
    const dials = index + 1 < memoryMb.length ? [id(index + 1)] : [];
    return meshNode(world, { id: id(index), dials, memoryMb: memory });
  });
  await Promise.all(nodes.map((node) => node.start()));
  await clock.advance(5_000);
  try {
    await body(nodes, clock);
  } finally {
    const stopped = Promise.all(nodes.map((node) => node.stop()));
    await clock.advance(10_000);
    await stopped;
  }
}

/** The text of an answer; passes virtual time until it is there. */
async function chat(node: LabNode, clock: VirtualClock): Promise<string> {
  let isSettled = false;
  const work = (async () => {
    const generation = await node.chat.start({ messages: [{ role: 'user', content: 'Who are you?' }] });
    let text = '';
    for await (const token of generation.tokens) text += token.text;
    return text;
  })().finally(() => {
    isSettled = true;
  });
  work.catch(() => undefined);
  for (let step = 0; !isSettled && step < 2_000; step += 1) await clock.advance(5);
  assert.ok(isSettled, 'the answer came or failed within ten virtual seconds');
  return work;
}

for (const [name, memoryMb, ring] of [
  ['whose first member is far from n1', [1024, 1024, 1024], ['n3', 'n2']],
  ['whose last member is far from n1', [1024, 4096, 2048], ['n2', 'n3']],
  ['of the other end', [4096, 2048, 1024], ['n1', 'n2']],
] as const) {
  test(`line of three with a ring ${name} answers at each node`, async () => {
    await line(memoryMb, async (nodes, clock) => {
      const [n1, n2, n3] = nodes as [LabNode, LabNode, LabNode];
      assert.deepEqual([n1, n2, n3].map(alive), [['n2'], ['n1', 'n3'], ['n2']]);
      for (const node of nodes) {
        const members = node.mesh.topology().partitions.map(({ nodeId }) => nodeId);
        assert.deepEqual(members, ring);
        assert.equal(await chat(node, clock), 'dummy'.repeat(10), node.mesh.self().id);
      }
    });
  });
}

test('line of four answers at all but the node two hops from the ring, which says at once what is missing', async () => {
  await line([1024, 1024, 1024, 1024], async (nodes, clock) => {
    const [n1, ...others] = nodes as [LabNode, ...LabNode[]];
    for (const node of others) assert.equal(await chat(node, clock), 'dummy'.repeat(10), node.mesh.self().id);
    const sinceMs = clock.now();
    await assert.rejects(chat(n1, clock), {
      code: 'ring-incomplete',
      message: /^this node has no connection to any of n4, n3,/,
    });
    assert.ok(clock.now() - sinceMs < 100, `${clock.now() - sinceMs} ms`);
  });
});
