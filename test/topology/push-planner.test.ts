import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../src/shared/index.js';
import { PushPlanner, TopologyView } from '../../src/topology/index.js';
import '../support/leaks.js';
import { capabilities } from './gossip-mesh.js';

const EPOCH = 1_000;

/** A node that runs, and knows two that started later and one that started earlier. */
function planner() {
  const view = new TopologyView({
    id: 'own',
    epoch: EPOCH,
    capabilities: capabilities(),
    wallMs: () => EPOCH,
  });
  for (const [id, epoch] of [
    ['newcomer', EPOCH + 1],
    ['other', EPOCH + 2],
    ['elder', EPOCH - 1],
  ] as const) {
    view.introduce(id, epoch, capabilities());
  }
  return { view, planner: new PushPlanner(view) };
}

describe('push planner', () => {
  it('tells everybody of an edge that went again before they were told of it, because one of them was', () => {
    const { view, planner: plan } = planner();
    const neighbours = new Set(['newcomer', 'other', 'elder']);
    view.addEdge('newcomer', 'MAN');
    plan.ownChanged(0);
    plan.connected('newcomer', 0);
    const greeting = plan.take(0, neighbours);
    assert.deepEqual(
      greeting.map(({ to, entries }) => [to, entries[0]?.edges.map(({ toId }) => toId)]),
      [['newcomer', ['newcomer']]],
      'the newcomer is told of its edge at once, and is to pass it on',
    );
    // Its own connection takes over, and another edge comes in the same batch.
    view.addEdge('other', 'MAN');
    plan.ownChanged(1);
    view.removeEdge('newcomer');
    plan.ownChanged(2);
    const told = plan.take(2 + LIMITS.topologyPushDelayMs, neighbours);
    for (const id of neighbours) {
      const own = told.find(({ to }) => to === id)?.entries.find((entry) => entry.id === 'own');
      assert.deepEqual(
        own?.edges.map(({ toId }) => toId),
        ['other'],
        `${id} hears that the edge is gone`,
      );
    }
  });
});
