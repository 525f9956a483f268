import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  historyFor,
  progressOf,
  samplingOf,
  samplingState,
} from '../../../src/inference/sampling/sampling-state.js';
import type { JsonObject } from '../../../src/protocol/index.js';
import { LIMITS } from '../../../src/shared/index.js';
import fc from '../../support/properties.js';

const FULL = {
  temperature: 0.7,
  topK: 40,
  topP: 0.9,
  minP: 0.05,
  repetitionPenalty: 1.1,
  frequencyPenalty: -0.5,
  presencePenalty: 2,
  seed: -(2 ** 53) + 1,
  logprobs: 3,
  logitBias: new Map([
    [7, -100],
    [151_000, 2.5],
  ]),
};

test('sampling state carries every option over JSON and back', () => {
  const state = JSON.parse(JSON.stringify(samplingState(FULL, { answered: 3, history: [4, 5, 6] })));
  assert.deepEqual(samplingOf(state, 0), FULL);
  assert.deepEqual(progressOf(state), { answered: 3, history: [4, 5, 6] });
  assert.equal(state.top_k, 40);
});

test('sampling state is absent where nothing is asked for, and what it lacks is the default', () => {
  assert.equal(samplingState({}), null);
  assert.equal(samplingState({ logitBias: new Map() }, { answered: 0, history: [] }), null);
  assert.deepEqual(samplingOf(null, 0.3), { temperature: 0.3 });
  assert.deepEqual(progressOf(null), { answered: 0, history: [] });
});

test('sampling state of a stranger is taken field by field, and nothing of it throws', () => {
  const keys = ['temperature', 'top_k', 'top_p', 'min_p', 'repetition_penalty', 'frequency_penalty'];
  const more = ['presence_penalty', 'seed', 'logprobs', 'logit_bias', 'answered', 'history', 'unknown'];
  const states = fc.dictionary(fc.constantFrom(...keys, ...more), fc.jsonValue());
  fc.assert(
    fc.property(states, (state) => {
      const options = samplingOf(state as JsonObject, 0.5);
      const progress = progressOf(state as JsonObject);
      assert.ok(options.temperature >= 0 && options.temperature <= 2);
      assert.ok(Number.isSafeInteger(progress.answered) && progress.answered >= 0);
      assert.ok(progress.history.every((token) => Number.isSafeInteger(token) && token >= 0));
      assert.deepEqual(samplingOf(samplingState(options), 0), options);
    }),
    { numRuns: 2_000 },
  );
  const bad = {
    temperature: 3,
    top_p: 0,
    top_k: -1,
    seed: 1.5,
    logprobs: 21,
    logit_bias: { x: 1, 5: 101, 6: 1 },
  };
  assert.deepEqual(samplingOf(bad, 1), { temperature: 1, logitBias: new Map([[6, 1]]) });
  const long = { history: Array(LIMITS.penaltyTokensMax + 1).fill(1), answered: -1 };
  assert.deepEqual(progressOf(long), { answered: 0, history: [] });
});

test('sampling state carries of the sequence only what the penalties look at, and fits the metadata of a tensor', () => {
  const prompt = Array.from({ length: 10_000 }, (_, index) => 140_000 + index);
  const answer = Array.from({ length: 500 }, (_, index) => index);
  assert.deepEqual(historyFor({}, prompt, answer), []);
  assert.deepEqual(historyFor({ frequencyPenalty: 1 }, prompt, answer), answer);
  const history = historyFor({ repetitionPenalty: 1.1 }, prompt, answer);
  assert.equal(history.length, LIMITS.penaltyTokensMax);
  assert.deepEqual(history.slice(-501), [149_999, ...answer]);
  assert.deepEqual(
    historyFor({ repetitionPenalty: 1.1 }, answer, prompt),
    prompt.slice(-LIMITS.penaltyTokensMax),
  );
  const logitBias = new Map(Array.from({ length: LIMITS.logitBiasMax }, (_, id) => [150_000 + id, -99.875]));
  const state = samplingState({ ...FULL, logitBias }, { answered: 500, history: prompt.slice(-4_096) });
  // As the original spells it: with a blank after each comma.
  const bytes = JSON.stringify(state).replaceAll(',', ', ').length;
  assert.ok(bytes < LIMITS.metadataBytesMax - 4_096, `${bytes} bytes`);
});
