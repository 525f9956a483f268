/** What a step costs beside its layers: learnt from answers that had the nodes to themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlanRecord, type RingPlan } from '../../../src/inference/planner/index.js';
import { StepCosts } from '../../../src/inference/planner/step-costs.js';

const MODEL = 'm';
const RING = ['a', 'b'].map((nodeId, index) => ({
  nodeId,
  shard: { modelId: MODEL, startLayer: 4 * index, endLayer: 4 * index + 3, nLayers: 8 },
}));

/** A plan of two members whose layers and paths take 10 ms of a token. */
function planWith(stepMs: number): RingPlan {
  const stepsMs = 2 * stepMs;
  const times = { firstTokenMs: 100, fetchMs: 0, loadMs: 0, loadBytes: 0 };
  const rest = { ...times, isAssumed: false, isFetchAssumed: false, isLoadAssumed: false };
  const prediction = { ...rest, tokensPerS: 1_000 / (10 + stepsMs), stepsMs };
  return { ring: RING, prediction, reason: 'why', outsiders: [] };
}

/** An answer of so many tokens, one every `tokenMs`; not closed. */
function answer(record: PlanRecord, tokenMs: number, tokens = 20) {
  const watch = record.begin({ requestId: 'r', model: MODEL }, planWith(record.steps.of(MODEL)), 0);
  for (let index = 1; index <= tokens; index += 1) watch.token(index * tokenMs);
  return watch;
}

function wholeAnswer(record: PlanRecord, tokenMs: number, tokens?: number): void {
  const watch = answer(record, tokenMs, tokens);
  watch.end();
  watch.end();
  watch.close();
}

test('step cost comes to what answers show, and the prediction with it', () => {
  const record = new PlanRecord();
  assert.equal(record.steps.of(MODEL), 0.3);
  wholeAnswer(record, 30);
  const first = record.steps.of(MODEL);
  assert.ok(Math.abs(first - (0.3 + 10) / 2) < 0.01, `${first}: half of the way, once`);
  for (let round = 0; round < 6; round += 1) wholeAnswer(record, 30);
  assert.ok(Math.abs(record.lastErrors!.tokensPerSRatio) < 0.02, JSON.stringify(record.lastErrors));
  // The machine has become quiet again.
  for (let round = 0; round < 8; round += 1) wholeAnswer(record, 11);
  assert.ok(Math.abs(record.steps.of(MODEL) - 0.5) < 0.1, `${record.steps.of(MODEL)}`);
  assert.equal(record.steps.of('another'), 0.3);
});

test('step cost is not learnt of answers at once, of short ones, nor of those that broke', () => {
  const record = new PlanRecord();
  const one = answer(record, 90);
  const other = answer(record, 90);
  for (const watch of [one, other]) {
    watch.end();
    watch.close();
  }
  wholeAnswer(record, 90, 5);
  answer(record, 90).close();
  assert.equal(record.steps.of(MODEL), 0.3);
  wholeAnswer(record, 90);
  assert.ok(record.steps.of(MODEL) > 1, 'alone again');
});

test('step cost stays within bounds, whatever is shown', () => {
  const costs = new StepCosts();
  const learn = (measuredMs: number) => {
    for (let round = 0; round < 40; round += 1)
      costs.learn({ model: MODEL, members: 2, predictedMs: 10, stepsMs: 2, measuredMs });
  };
  learn(1e9);
  assert.ok(costs.of(MODEL) <= 100);
  learn(0.001);
  assert.ok(costs.of(MODEL) >= 0.05 && costs.of(MODEL) < 0.06, `${costs.of(MODEL)}`);
  learn(Number.NaN);
  assert.ok(costs.of(MODEL) < 0.06);
});
