import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePlacement, explained } from '../../../src/inference/answers/own-placement.js';
import { type PlanQuestion, PlanRecord, type RingPlan } from '../../../src/inference/planner/index.js';
import { type ErrorCode, ExoError } from '../../../src/shared/index.js';

const MODEL = { id: 'm', layers: 8 };
const OWN = {
  kind: 'manual',
  ranges: [
    { nodeId: 'a', startLayer: 0, endLayer: 3 },
    { nodeId: 'b', startLayer: 4, endLayer: 7 },
  ],
} as const;
const QUESTION: PlanQuestion = {
  model: { ...MODEL, name: 'm', ready: true },
  placement: OWN,
  promptTokens: 1,
  isRetry: false,
  signal: new AbortController().signal,
};

const planner = (plan: () => RingPlan) => ({ record: new PlanRecord(), plan: async () => plan() });

test('placement of a request counts before that of the node, and none is auto', () => {
  assert.deepEqual(choosePlacement({ kind: 'solo' }, OWN, MODEL), { placement: { kind: 'solo' } });
  assert.deepEqual(choosePlacement(undefined, { kind: 'split' }, MODEL), { placement: { kind: 'split' } });
  assert.deepEqual(choosePlacement(undefined, undefined, MODEL), { placement: { kind: 'auto' } });
  assert.deepEqual(choosePlacement(undefined, OWN, MODEL), { placement: OWN, isOwnRanges: true });
});

test('ranges of a node that do not fit a model give way to the planner, and the plan says so', async () => {
  for (const layers of [1, 6, 7, 9, 32]) {
    const chosen = choosePlacement(undefined, OWN, { id: 'other', layers });
    assert.deepEqual(chosen.placement, { kind: 'auto' });
    const plan = await explained(
      planner(() => ({ reason: 'all layers on a', outsiders: [] })),
      chosen,
    ).plan(QUESTION);
    assert.match(plan.reason, /^all layers on a \(--layers does not fit this model: .*other is \d+\)$/);
  }
});

test('an error of ranges that the node was started with names the option and the way out', async () => {
  const chosen = choosePlacement(undefined, OWN, MODEL);
  const cases: ReadonlyArray<readonly [ErrorCode, RegExp]> = [
    [
      'ring-incomplete',
      /b is not there; .*--layers of this node: start or connect that node, or start this one with/,
    ],
    [
      'out-of-memory',
      /b is not there; .*--layers of this node: start it with other ranges or without --layers$/,
    ],
  ];
  for (const [code, says] of cases) {
    const failing = planner(() => {
      throw new ExoError(code, 'b is not there', { retryable: true });
    });
    await assert.rejects(explained(failing, chosen).plan(QUESTION), (error: ExoError) => {
      assert.equal(error.code, code);
      assert.equal(error.retryable, true);
      assert.match(error.message, says);
      return true;
    });
    const asked = explained(failing, choosePlacement(OWN, undefined, MODEL));
    await assert.rejects(asked.plan(QUESTION), { message: 'b is not there' });
  }
});
