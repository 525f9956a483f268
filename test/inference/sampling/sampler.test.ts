import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SamplingOptions } from '../../../src/inference/index.js';
import { counterRandom, philox4x32 } from '../../../src/inference/sampling/counter-random.js';
import { exponential } from '../../../src/inference/sampling/exponential.js';
import { highestOf, isGreedy, sampleLogits, sampleToken } from '../../../src/inference/sampling/sampler.js';
import { TokenHistory } from '../../../src/inference/sampling/token-history.js';
import { LIMITS, type Random, seededRandom } from '../../../src/shared/index.js';
import fc from '../../support/properties.js';

/** Probabilities by the definition: everything sorted, nothing clever. */
function distribution(logits: Float32Array, options: SamplingOptions): Map<number, number> {
  const { temperature, topK = 0, topP = 1, minP = 0 } = options;
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  let kept = topK > 0 ? order.slice(0, topK) : order;
  const max = logits[order[0]!]!;
  const weight = (id: number) => Math.exp((logits[id]! - max) / temperature);
  const total = kept.reduce((sum, id) => sum + weight(id), 0);
  let sum = 0;
  const places = kept.findIndex((id) => {
    sum += weight(id);
    return sum >= topP * total;
  });
  if (topP < 1 && places >= 0) kept = kept.slice(0, places + 1);
  kept = kept.filter((id) => weight(id) >= minP);
  const norm = kept.reduce((whole, id) => whole + weight(id), 0);
  return new Map(kept.map((id) => [id, weight(id) / norm]));
}

function gaussian(random: Random, scale: number): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next()) * scale;
}

test('the first of the highest logits is taken, wherever it stands, and no NaN is passed over', () => {
  const options = { temperature: 0 };
  const place = { seed: 0, index: 0 };
  for (const length of [1, 7, 8, 9, 23, 64, 65]) {
    for (let at = 0; at < length; at += 1) {
      const logits = new Float32Array(length).fill(Number.NEGATIVE_INFINITY);
      logits[length - 1] = 1;
      logits[at] = 1;
      assert.equal(sampleToken(logits, options, place).token, at, `${at} of ${length}`);
      logits.fill(0);
      logits[0] = 9;
      logits[at] = Number.NaN;
      assert.throws(() => sampleToken(logits, options, place), { code: 'engine-failed' });
    }
  }
});

const sampleAt = (logits: Float32Array, options: SamplingOptions, index: number, seed = 7) =>
  sampleToken(logits, options, { seed, index }).token;

test('counter random has the published vectors of Philox4x32-10', () => {
  assert.deepEqual(philox4x32([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  assert.deepEqual(
    philox4x32([ones, ones, ones, ones], [ones, ones]),
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  );
  assert.deepEqual(
    philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

test('counter random is even in [0, 1), and tells seeds and places apart', () => {
  const counts = new Array<number>(64).fill(0);
  const seen = new Set<number>();
  for (const seed of [0, 1, -1, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    for (let index = 0; index < 10_000; index += 1) {
      const value = counterRandom(seed, index);
      assert.ok(value >= 0 && value < 1);
      seen.add(value);
      counts[Math.floor(value * 64)]! += 1;
    }
  }
  assert.equal(seen.size, 60_000);
  const expected = 60_000 / 64;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  assert.ok(chi < 63 + 4 * Math.sqrt(126), `chi-square ${chi} of 63 degrees`);
});

test('exponential is exp to 13 digits', () => {
  fc.assert(
    fc.property(fc.double({ min: -700, max: 0, noNaN: true }), (x) => {
      const exact = Math.exp(x);
      assert.ok(Math.abs(exponential(x) - exact) <= 1e-13 * exact, `${x}`);
    }),
    { numRuns: 5_000 },
  );
  assert.equal(exponential(0), 1);
  assert.equal(exponential(Number.NEGATIVE_INFINITY), 0);
  assert.equal(exponential(-746), 0);
});

const anyLogits = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.float({ min: -30, max: 30, noNaN: true }) },
      { weight: 2, arbitrary: fc.constantFrom(-1, -0, 0, 5, 5.5) },
      { weight: 1, arbitrary: fc.constant(Number.NEGATIVE_INFINITY) },
    ),
    { minLength: 1, maxLength: 300 },
  )
  .filter((values) => values.some(Number.isFinite))
  .map((values) => Float32Array.from(values));
const anyOptions = fc.record({
  temperature: fc.double({ min: 0.05, max: 2, noNaN: true }),
  topK: fc.integer({ min: 0, max: 320 }),
  topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
  minP: fc.double({ min: 0, max: 1, noNaN: true }),
});

test('sampler chooses only what top_k, top_p and min_p leave, and only with their probability', () => {
  fc.assert(
    fc.property(anyLogits, anyOptions, fc.maxSafeInteger(), (logits, options, seed) => {
      const exact = distribution(logits, options);
      const ids = [...exact.keys()].sort((a, b) => a - b);
      for (let index = 0; index < 8; index += 1) {
        // The draw goes through the ids in order; where the exact sums pass it is the token.
        const goal = counterRandom(seed, index);
        const token = sampleAt(logits, options, index, seed);
        assert.ok(exact.has(token), `token ${token} was cut`);
        const before = ids.filter((id) => id < token).reduce((sum, id) => sum + exact.get(id)!, 0);
        assert.ok(before <= goal + 1e-9 && goal <= before + exact.get(token)! + 1e-9, `token ${token}`);
      }
    }),
    { numRuns: 500 },
  );
});

test('sampler takes the highest logit, and of equal ones the lowest id, when it is greedy', () => {
  fc.assert(
    fc.property(anyLogits, (logits) => {
      const best = logits.indexOf(Math.max(...logits));
      assert.equal(sampleAt(logits, { temperature: 0 }, 0), best);
      assert.equal(sampleAt(logits, { temperature: 1.5, topK: 1 }, 0), best);
      assert.equal(
        sampleAt(logits, { temperature: 1e-300 }, 0),
        Math.max(best, sampleAt(logits, { temperature: 1e-300 }, 0)),
      );
    }),
  );
});

for (const options of [
  { temperature: 1 },
  { temperature: 0.6, topK: 12 },
  { temperature: 1.4, topP: 0.8 },
  { temperature: 0.9, minP: 0.03 },
  { temperature: 1, topK: 30, topP: 0.95, minP: 0.02 },
] as const) {
  test(`sampler draws from the exact distribution: ${JSON.stringify(options)}`, () => {
    const random = seededRandom(5);
    const logits = Float32Array.from({ length: 60 }, () => gaussian(random, 1));
    const exact = distribution(logits, options);
    const draws = 40_000;
    const counts = new Map<number, number>();
    for (let index = 0; index < draws; index += 1) {
      const token = sampleAt(logits, options, index, 2_026);
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    assert.ok([...counts.keys()].every((token) => exact.has(token)));
    const chi = [...exact].reduce((sum, [token, part]) => {
      const expected = part * draws;
      return sum + ((counts.get(token) ?? 0) - expected) ** 2 / expected;
    }, 0);
    const degrees = exact.size - 1;
    assert.ok(degrees > 3, `${degrees} degrees`);
    // Four standard deviations of chi-square.
    assert.ok(chi < degrees + 4 * Math.sqrt(2 * degrees), `chi-square ${chi} of ${degrees} degrees`);
  });
}

test('sampler gives the same over 150,000 tokens as over those that are left of them', () => {
  const random = seededRandom(3);
  const logits = Float32Array.from({ length: 151_936 }, () => gaussian(random, 3));
  for (const options of [
    { temperature: 0.8, topK: 40 },
    { temperature: 1, topK: 5_000, topP: 0.9 },
    { temperature: 1, topP: 0.5 },
    { temperature: 1, minP: 0.2 },
  ]) {
    const exact = distribution(logits, options);
    for (let index = 0; index < 20; index += 1) assert.ok(exact.has(sampleAt(logits, options, index)));
  }
});

test('sampler punishes tokens by their sign, their number and their presence, and adds a bias', () => {
  const logits = Float32Array.from([2, -2, 1, 1, 1]);
  const history = new TokenHistory([0, 1, 2, 2, 3], 3);
  const logprobs = 5;
  const chosen = (options: Partial<SamplingOptions>) =>
    sampleToken(logits, { temperature: 0, logprobs, ...options }, { seed: 0, index: 0, history }).token;
  assert.equal(chosen({}), 0);
  assert.equal(chosen({ repetitionPenalty: 1.9 }), 0, '2 / 1.9 is above 1');
  assert.equal(chosen({ repetitionPenalty: 2 }), 0, '2 / 2 is 1, and the lowest id wins');
  assert.equal(chosen({ repetitionPenalty: 2, logitBias: new Map([[0, -0.01]]) }), 4, 'not in the sequence');
  assert.equal(chosen({ presencePenalty: 2 }), 0, '0 is of the prompt');
  for (const repetitionPenalty of [1e-40, Number.MIN_VALUE])
    assert.equal(chosen({ repetitionPenalty }), 0, 'beyond all numbers, and still the highest');
  assert.equal(chosen({ presencePenalty: -1.5 }), 2, '2 and 3 are of the answer');
  assert.equal(chosen({ frequencyPenalty: -0.9, presencePenalty: 0.3 }), 2, '2 is there twice');
  assert.equal(
    chosen({
      logitBias: new Map([
        [1, 100],
        [77, 100],
      ]),
    }),
    1,
    'an id beyond the vocabulary is ignored',
  );
  assert.equal(chosen({ logitBias: new Map([[0, -100]]) }), 2);
});

test('sampler tells the log probabilities of the model, whatever else is set', () => {
  const logits = Float32Array.from([1, 3, 3, -1]);
  const norm = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
  const options = { temperature: 0, logprobs: 3, logitBias: new Map([[3, 50]]), topK: 2 };
  const { token, logprobs } = sampleToken(logits, options, { seed: 0, index: 0 });
  assert.equal(token, 3);
  assert.ok(Math.abs(logprobs!.logprob - (-1 - norm)) < 1e-9);
  assert.deepEqual(
    logprobs!.top.map((each) => each.token),
    [1, 2, 0],
  );
  for (const each of logprobs!.top) assert.ok(Math.abs(each.logprob - (logits[each.token]! - norm)) < 1e-9);
  assert.deepEqual(
    sampleToken(logits, { temperature: 0, logprobs: 0 }, { seed: 0, index: 0 }).logprobs!.top,
    [],
  );
  assert.equal(
    sampleToken(logits, { temperature: 0, logprobs: 20 }, { seed: 0, index: 0 }).logprobs!.top.length,
    4,
  );
  assert.equal(sampleToken(logits, { temperature: 0 }, { seed: 0, index: 0 }).logprobs, undefined);
});

test('sampler chooses nothing from NaN, from masks alone and from infinity', () => {
  const masked = Number.NEGATIVE_INFINITY;
  for (const values of [
    [1, Number.NaN, 3],
    [Number.NaN],
    [masked, masked],
    [1, Number.POSITIVE_INFINITY],
    [],
  ]) {
    for (const temperature of [0, 1]) {
      assert.throws(() => sampleAt(Float32Array.from(values), { temperature }, 0), { code: 'engine-failed' });
    }
  }
  assert.equal(sampleAt(Float32Array.from([masked, 0, masked]), { temperature: 2 }, 0), 1);
});

test('sampler reads the last position of a tensor, also where it does not lie on a word', () => {
  const bytes = Buffer.alloc(4 * 6 + 1);
  for (const [place, value] of [0, 9, 0, 1, 2, 5].entries()) bytes.writeFloatLE(value, 1 + place * 4);
  const data = bytes.subarray(1);
  const place = { seed: 0, index: 0 };
  assert.equal(
    sampleLogits({ shape: [1, 2, 3], dtype: 'float32', data }, { temperature: 0 }, place).token,
    2,
  );
  for (const tensor of [
    { shape: [12], dtype: 'float16', data } as const,
    { shape: [7], dtype: 'float32', data } as const,
    { shape: [], dtype: 'float32', data } as const,
  ]) {
    assert.throws(() => sampleLogits(tensor, { temperature: 0 }, place), { code: 'tensor-invalid' });
  }
});

test('token history counts the last tokens, whichever node begins it', () => {
  const all = Array.from({ length: LIMITS.penaltyTokensMax + 500 }, (_, index) => index % 700);
  const answerFrom = 300;
  const whole = new TokenHistory(all.slice(0, answerFrom));
  for (const token of all.slice(answerFrom)) whole.push(token);
  const moved = new TokenHistory(all.slice(-LIMITS.penaltyTokensMax), all.length - answerFrom);
  assert.deepEqual(new Map([...moved.all].sort()), new Map([...whole.all].sort()));
  assert.deepEqual(new Map([...moved.answer].sort()), new Map([...whole.answer].sort()));
  const sum = [...whole.all.values()].reduce((total, count) => total + count, 0);
  assert.equal(sum, LIMITS.penaltyTokensMax);
  const short = new TokenHistory([4, 4, 5], 1);
  assert.deepEqual(
    [...short.all, ...short.answer],
    [
      [4, 2],
      [5, 1],
      [5, 1],
    ],
  );
});

test('where a request is greedy the token of the highest logit is the one that is chosen', () => {
  const number = (...values: readonly number[]) => fc.constantFrom(undefined, undefined, ...values);
  const optionsOf = fc.record({
    temperature: fc.constantFrom(0, 0.5, 1),
    topK: fc.constantFrom(0, 1, 5),
    repetitionPenalty: number(1, 0.5, 2),
    presencePenalty: number(0, -2, 2),
    frequencyPenalty: number(0, -2, 2),
    logprobs: fc.constantFrom(undefined, 0, 3),
    topP: number(0.5),
    minP: number(0.1),
    bias: fc.constantFrom(undefined, new Map(), new Map([[2, 100]])),
  });
  const history = new TokenHistory([1, 2, 3, 1], 2);
  const seen = { greedy: 0, other: 0, differs: 0 };
  fc.assert(
    fc.property(
      optionsOf,
      fc.float32Array({ minLength: 8, maxLength: 40, noNaN: true, min: -20, max: 20 }),
      (made, logits) => {
        const { bias, ...rest } = made;
        const given = { ...rest, logitBias: bias };
        const options = Object.fromEntries(
          Object.entries(given).filter(([, value]) => value !== undefined),
        ) as unknown as SamplingOptions;
        const { token, logprobs } = sampleToken(logits, options, { seed: 1, index: 0, history });
        const highest = highestOf(logits);
        if (!isGreedy(options)) {
          seen.other += 1;
          seen.differs += token === highest && logprobs === undefined ? 0 : 1;
          return;
        }
        seen.greedy += 1;
        assert.deepEqual({ token, logprobs }, { token: highest, logprobs: undefined });
      },
    ),
    { seed: 5, numRuns: 2_000 },
  );
  assert.ok(seen.greedy > 20 && seen.differs > 500, JSON.stringify(seen));
});

test('a greedy request fails as any other where no token can be chosen', () => {
  for (const logits of [[1, Number.NaN], [Number.NEGATIVE_INFINITY], [0, Number.POSITIVE_INFINITY]]) {
    const values = Float32Array.from(logits);
    const message = (choose: () => unknown) => {
      try {
        choose();
      } catch (error) {
        return String(error);
      }
      return assert.fail(`${logits}: a token was chosen`);
    };
    const ours = message(() => highestOf(values));
    assert.match(ours, /no token can be chosen/);
    assert.equal(
      ours,
      message(() => sampleToken(values, { temperature: 0 }, { seed: 0, index: 0 })),
    );
  }
});
