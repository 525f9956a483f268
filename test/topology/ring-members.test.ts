import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ringMembers } from '../../src/topology/index.js';
import { capabilities } from './gossip-mesh.js';

function choose(memory: Record<string, number>, edges: string[], legacy: string[] = []) {
  return ringMembers({
    nodes: new Map(Object.entries(memory).map(([id, mb]) => [id, capabilities(mb)])),
    edges: edges.map((edge) => ({ fromId: edge[0]!, toId: edge[1]! })),
    legacyIds: new Set(legacy),
  });
}

describe('ring members', () => {
  it('are all nodes of a full mesh, by memory and id', () => {
    assert.deepEqual(choose({ a: 1, b: 3, c: 3 }, ['ab', 'bc', 'ca']), {
      members: ['c', 'b', 'a'],
      outsiders: [],
    });
  });

  it('leave out a node that can not reach a larger one, with the reason', () => {
    const { members, outsiders } = choose({ hub: 5, left: 4, right: 3 }, []);
    assert.deepEqual(members, ['hub']);
    assert.equal(outsiders.length, 2);
    const star = choose({ h: 5, l: 4, r: 3 }, ['hl', 'rh']);
    assert.deepEqual(star.members, ['h', 'l']);
    assert.deepEqual(star.outsiders, [{ id: 'r', reason: 'no connection with l, which the ring needs' }]);
  });

  it('name at most three missing connections', () => {
    const edges = ['ab', 'ac', 'ad', 'bc', 'bd', 'cd'];
    const { outsiders } = choose({ a: 9, b: 8, c: 7, d: 6, z: 1 }, edges);
    assert.equal(outsiders[0]!.reason, 'no connection with a, b, c and 1 more, which the ring needs');
  });

  it('are all nodes as soon as an old peer is present', () => {
    const { members, outsiders } = choose({ h: 5, l: 4, r: 3 }, ['hl', 'hr'], ['r']);
    assert.deepEqual(members, ['h', 'l', 'r']);
    assert.deepEqual(outsiders, []);
  });

  it('are this node alone without peers', () => {
    assert.deepEqual(choose({ a: 1 }, []).members, ['a']);
  });
});
