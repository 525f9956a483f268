/** An answer that stands still while a member of its ring is silent: it goes on in another ring, or waits where there is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GenerationAttempts } from '../../../src/inference/answers/generation-attempts.js';
import type { RingMember } from '../../../src/inference/index.js';
import type { LocalPrompt } from '../../../src/inference/ring/ring-options.js';
import { LIMITS, seededRandom, silentLogger, VirtualClock } from '../../../src/shared/index.js';

const MODEL = { id: 'm', name: 'M', layers: 4, ready: true };
const SOON_MS = LIMITS.generationStillMs + 2 * LIMITS.generationLookMs + LIMITS.generationRetryDelayMsMax;

const ringOf = (...ids: string[]): RingMember[] =>
  ids.map((nodeId, at) => {
    return { nodeId, shard: { modelId: 'm', startLayer: at, endLayer: at, nLayers: MODEL.layers } };
  });

/** One answer whose ring is `a` and `b`, and where it would go instead. */
function answerWith(options: { readonly elsewhere?: readonly RingMember[]; readonly recovery?: boolean }) {
  const clock = new VirtualClock();
  const submitted: LocalPrompt[] = [];
  const state = { silent: [] as string[], failed: [] as string[], tokens: [] as number[] };
  const attempts = new GenerationAttempts(
    {
      requestId: 'q',
      model: MODEL,
      prompt: '',
      tokens: [1],
      sampling: {},
      placement: { kind: 'split' },
      client: {
        deliver: ({ result }) => state.tokens.push(...result),
        fail: ({ code }) => state.failed.push(code),
      },
    },
    { timeoutMs: 60_000, recovery: options.recovery ?? true },
    {
      ring: {
        submit: async (prompt) => void submitted.push(prompt),
        end: () => undefined,
        silentMembers: () => state.silent,
      },
      planner: {
        async plan({ isRetry }) {
          const rest = { reason: '', outsiders: [] };
          if (isRetry !== true) return { ...rest, ring: ringOf('a', 'b') };
          if (options.elsewhere === undefined) throw new Error('nobody else can hold the layers');
          return { ...rest, ring: options.elsewhere };
        },
      },
      clock,
      random: seededRandom(1),
      log: silentLogger,
    },
  );
  const token = (result: number, index: number) =>
    submitted.at(-1)!.client.deliver({
      kind: 'result',
      requestId: submitted.at(-1)!.requestId,
      result: [result],
      isFinished: false,
      index,
    });
  return { clock, submitted, state, attempts, token };
}

/** Begun, and one token has come. */
async function begun(options: Parameters<typeof answerWith>[0]) {
  const answer = answerWith(options);
  await answer.attempts.begin();
  answer.token(7, 0);
  return answer;
}

test('an answer goes on elsewhere when it stands still and a member of its ring is silent', async () => {
  const { clock, submitted, state, attempts, token } = await begun({ elsewhere: ringOf('a') });
  state.silent = ['b'];
  await clock.advance(SOON_MS);
  assert.equal(submitted.length, 2);
  assert.deepEqual(submitted[1]!.tokens, [1, 7]);
  token(8, 1);
  assert.deepEqual(state.tokens, [7, 8]);
  assert.deepEqual(state.failed, []);
  attempts.end();
  assert.equal(clock.pending, 0);
});

for (const [why, elsewhere] of [
  ['nobody else can hold the layers', undefined],
  ['the layers would be on the silent one again', ringOf('b', 'a')],
] as const) {
  test(`an answer waits for a silent member where ${why}`, async () => {
    const { clock, submitted, state, attempts, token } = await begun(
      elsewhere === undefined ? {} : { elsewhere },
    );
    state.silent = ['b'];
    await clock.advance(LIMITS.deadAfterMs);
    assert.equal(submitted.length, 1);
    token(8, 1);
    assert.deepEqual(state.tokens, [7, 8]);
    attempts.end();
    assert.equal(clock.pending, 0);
  });
}

test('an answer that is slow, in a ring whose members all say something, is left alone', async () => {
  const { clock, submitted, attempts } = await begun({ elsewhere: ringOf('a') });
  await clock.advance(30_000);
  assert.equal(submitted.length, 1);
  attempts.end();
});

test('an answer to which tokens come is left alone, whoever is silent', async () => {
  const { clock, submitted, state, attempts, token } = await begun({ elsewhere: ringOf('a') });
  state.silent = ['b'];
  for (let index = 1; index < 20; index += 1) {
    await clock.advance(LIMITS.generationStillMs / 2);
    token(7, index);
  }
  assert.equal(submitted.length, 1);
  attempts.end();
});

test('an answer without recovery is not looked after', async () => {
  const { clock, submitted, state, attempts } = await begun({ elsewhere: ringOf('a'), recovery: false });
  state.silent = ['b'];
  await clock.advance(30_000);
  assert.equal(submitted.length, 1);
  assert.equal(clock.pending, 0);
  attempts.end();
});
