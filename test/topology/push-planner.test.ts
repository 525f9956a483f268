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

  it('gives a newcomer an edge again that came back after everybody was told that it is gone', () => {
    const { view, planner: plan } = planner();
    const neighbours = new Set(['newcomer', 'other', 'elder']);
    view.addEdge('newcomer', 'MAN');
    plan.ownChanged(0);
    plan.connected('newcomer', 0);
    plan.take(0, neighbours);
    plan.take(LIMITS.topologyPushDelayMs, neighbours);
    view.removeEdge('newcomer');
    plan.ownChanged(100);
    assert.equal(plan.take(100 + LIMITS.topologyPushDelayMs, neighbours).length, 3);
    view.addEdge('newcomer', 'MAN');
    plan.ownChanged(200);
    const told = plan.take(200 + LIMITS.topologyPushDelayMs, neighbours);
    assert.deepEqual(
      told.map(({ to, entries, spread }) => [to, entries[0]?.edges.length, spread]),
      [['newcomer', 1, ['own']]],
    );
  });

  it('tells all what a neighbour was to pass on whose connection broke meanwhile', () => {
    for (const isLate of [false, true]) {
      const { view, planner: plan } = planner();
      const neighbours = new Set(['newcomer', 'other', 'elder']);
      view.addEdge('newcomer', 'MAN');
      plan.ownChanged(0);
      plan.connected('newcomer', 0);
      plan.take(LIMITS.topologyPushDelayMs, neighbours);
      const backMs = isLate ? LIMITS.deadAfterMs * 2 : 100;
      // Who has no edge with the newcomer is told when it had its time, not for a broken connection.
      if (isLate) plan.take(backMs - 1, neighbours);
      plan.broke('newcomer', true, backMs);
      plan.broke('elder', true, backMs);
      const told = plan
        .take(backMs + LIMITS.topologyPushDelayMs, neighbours)
        .filter(({ entries }) => entries.some(({ id }) => id === 'own'))
        .map(({ to }) => to);
      if (isLate) assert.ok(!told.includes('elder'), 'what was sent so long ago had arrived');
      else assert.deepEqual(told.sort(), ['elder', 'newcomer', 'other']);
    }
  });

  it('does not tell all of an edge to a newcomer that is gone for good, only that it is gone', () => {
    const { view, planner: plan } = planner();
    view.addEdge('newcomer', 'MAN');
    plan.ownChanged(0);
    plan.connected('newcomer', 0);
    plan.take(LIMITS.topologyPushDelayMs, new Set(['newcomer', 'other', 'elder']));
    plan.broke('newcomer', false, 100);
    assert.deepEqual(plan.take(100 + LIMITS.topologyPushDelayMs, new Set(['other', 'elder'])), []);
  });
});
