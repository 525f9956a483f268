/** The time to load weights: in the first prediction, learnt of the answer that showed it, gone when they are in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeCosts } from '../../../src/inference/planner/costs.js';
import { PlanRecord, type RingPlan } from '../../../src/inference/planner/index.js';
import { Paths } from '../../../src/inference/planner/paths.js';
import { predict } from '../../../src/inference/planner/predict.js';
import { offerOf } from './nodes.js';

const LAYERS = 10;
/** The last one has the head, and counts as three. */
const LAYER_BYTES = 4e9 / 12;

/** All layers of a model on `a`, as its record knows it. */
function planOf(record: PlanRecord, model: string): RingPlan & { prediction: object } {
  const offer = offerOf(
    { id: 'a', memoryGb: 64, gbPerS: 40, stored: [[0, LAYERS - 1]] },
    { layers: LAYERS, layerGb: LAYER_BYTES / 1e9 },
  );
  const node = new NodeCosts('a', offer, [], record.loads.of(model, 'a'));
  const places = [{ node, start: 0, end: LAYERS }];
  const workload = { promptTokens: 100, answerTokens: 100, stepMs: record.steps.of(model) };
  const prediction = predict(places, workload, 'a', new Paths('a', new Map([['a', offer]])));
  const shard = { modelId: model, startLayer: 0, endLayer: LAYERS - 1, nLayers: LAYERS };
  return { ring: [{ nodeId: 'a', shard }], prediction, reason: 'why', outsiders: [] };
}

/** An answer whose first token is there after `firstMs`. */
function answer(record: PlanRecord, model: string, firstMs: number) {
  const plan = planOf(record, model);
  const watch = record.begin({ requestId: 'r', model }, plan, 0);
  for (let index = 0; index < 20; index += 1) watch.token(firstMs + index * 100);
  watch.end();
  watch.close();
  return plan.prediction!;
}

test('a model that no answer has used is loaded first: assumed until an answer has shown how fast', () => {
  const record = new PlanRecord();
  const cold = planOf(record, 'm').prediction!;
  assert.equal(Math.round(cold.loadMs), 4_000);
  assert.equal(cold.isLoadAssumed, true);
  const bare = cold.firstTokenMs - cold.loadMs;
  // This disk gives 500 MB/s.
  answer(record, 'm', bare + 8_000);
  assert.ok(record.lastErrors!.firstTokenRatio < -0.4, 'the assumption was wrong, and said to be one');
  const warm = planOf(record, 'm').prediction!;
  assert.deepEqual([warm.loadMs, warm.isLoadAssumed], [0, false]);
  assert.ok(Math.abs(warm.firstTokenMs - bare) < 100);
  const other = answer(record, 'another', bare + 8_000);
  assert.deepEqual([Math.round(other.loadMs), other.isLoadAssumed], [8_000, false]);
  assert.ok(Math.abs(record.lastErrors!.firstTokenRatio) < 0.02, JSON.stringify(record.lastErrors));
});

test('only what the ring held is loaded, and nothing is learnt of weights that were there already', () => {
  const record = new PlanRecord();
  record.loads.used('m', [{ nodeId: 'a', startLayer: 0, endLayer: 3 }]);
  assert.ok(Math.abs(planOf(record, 'm').prediction!.loadBytes - 8 * LAYER_BYTES) < 1);
  const cold = planOf(record, 'n').prediction!;
  answer(record, 'n', cold.firstTokenMs - cold.loadMs + 1);
  assert.equal(planOf(record, 'o').prediction!.isLoadAssumed, true);
});

test('a load is not learnt of answers at once', () => {
  const record = new PlanRecord();
  const watches = ['m', 'n'].map((model) =>
    record.begin({ requestId: model, model }, planOf(record, model), 0),
  );
  for (const watch of watches) watch.token(60_000);
  for (const watch of watches) watch.close();
  assert.equal(record.loads.of('o', 'a').isAssumed, true);
});
