/** Where only the likeliest token of a step is wanted the engine is told so, and may give that instead of all logits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardRequest, ForwardResult } from '../../../src/inference/index.js';
import { createEngine } from '../../../src/inference/index.js';
import { RingNet } from '../../support/ring-net.js';

type Asked = Pick<ForwardRequest, 'position' | 'isGreedy'> & { readonly id: string; readonly gave: string };

/** The answer of `a` over a ring of two, and what their engines were asked and gave. */
async function answered(
  options: object,
  gives: (result: ForwardResult, asked: ForwardRequest) => ForwardResult,
) {
  const asked: Asked[] = [];
  const net = new RingNet({
    ids: ['a', 'b'],
    engine: (id) => {
      const engine = createEngine('dummy');
      const forward = engine.forward.bind(engine);
      engine.forward = async (request) => {
        const result = gives(await forward(request), request);
        const { position, isGreedy } = request;
        asked.push({ id, position, ...(isGreedy === undefined ? {} : { isGreedy }), gave: result.kind });
        return result;
      };
      return engine;
    },
  });
  try {
    const tokens = await net.run(
      (async () => {
        const start = { prompt: 'hello', maxTokens: 4, ...options };
        const generation = await net.node('a').generations.start(start);
        const seen: number[] = [];
        for await (const { token } of generation.tokens) seen.push(token);
        return seen;
      })(),
    );
    return { tokens, asked };
  } finally {
    await net.stop();
  }
}

const asIs = (result: ForwardResult) => result;

/** As an engine that chooses by itself where it may. */
const chosen = (result: ForwardResult, { isGreedy }: ForwardRequest): ForwardResult => {
  if (result.kind !== 'logits' || isGreedy !== true) return result;
  const { token } = createEngine('dummy').sample(result.logits, { temperature: 0 }, { seed: 0, index: 0 });
  return { kind: 'token', token };
};

test('a greedy answer is the same from an engine that chooses and one that gives logits', async () => {
  const plain = await answered({ temperature: 0 }, asIs);
  const own = await answered({ temperature: 0 }, chosen);
  assert.equal(plain.tokens.length, 4);
  assert.deepEqual(own.tokens, plain.tokens);
  for (const { id, isGreedy, gave } of own.asked) {
    assert.equal(isGreedy, id === 'b', 'only of the last layer');
    assert.equal(gave, id === 'b' ? 'token' : 'hidden');
  }
});

for (const options of [
  { temperature: 0.7, seed: 1 },
  { temperature: 0, logprobs: 2 },
  { temperature: 0, repetitionPenalty: 1.3 },
  { temperature: 0, frequencyPenalty: 0.5 },
  { temperature: 0, logitBias: new Map([[3, 5]]) },
]) {
  test(`logits are asked for where they are needed: ${Object.entries(options).join(' ')}`, async () => {
    const { asked, tokens } = await answered(options, chosen);
    assert.ok(tokens.length > 0);
    assert.ok(asked.every(({ isGreedy, gave }) => isGreedy !== true && gave !== 'token'));
  });
}

test('an engine that chooses without being asked fails the answer', async () => {
  const wrong = (result: ForwardResult): ForwardResult =>
    result.kind === 'logits' ? { kind: 'token', token: 7 } : result;
  await assert.rejects(answered({ temperature: 0.7, seed: 1 }, wrong), /gave token/);
});
