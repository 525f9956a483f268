/** What counts as the same answer: ids to the end, log probabilities within the bound, and ties that rounding may decide. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChosenJson, compare, type VerifiedAnswer } from '../../../src/cli/verify/compare.js';

const BOUND = 1e-4;

/** A token with two candidates: itself, and one that is `gap` less likely. */
const chosen = (id: number, logprob = -0.5, gap = 2): ChosenJson => ({
  ...{ token: `t${id}`, token_id: id, logprob },
  top_logprobs: [
    { token: `t${id}`, token_id: id, logprob },
    { token: 'x', token_id: 900, logprob: logprob - gap },
  ],
});

const answer = (tokens: readonly ChosenJson[], finishReason = 'length'): VerifiedAnswer => ({
  tokens,
  finishReason,
});

test('answers that are equal to the bit are equal', () => {
  const one = answer([chosen(1), chosen(2), chosen(3)]);
  assert.deepEqual(compare(one, one, BOUND), {
    ...{ same: 3, tokens: 3, difference: 0, differenceAt: 0, isEqual: true },
  });
  assert.equal(compare(answer([], 'stop'), answer([], 'stop'), BOUND).isEqual, true);
});

test('log probabilities may differ by the bound, of the chosen token and of candidates, and not by more', () => {
  const one = answer([chosen(1), chosen(2), chosen(3)]);
  const near = compare(one, answer([chosen(1), chosen(2, -0.500_05), chosen(3)]), BOUND);
  assert.equal(near.isEqual, true);
  assert.equal(near.differenceAt, 1);
  assert.ok(Math.abs(near.difference - 5e-5) < 1e-9);
  assert.equal(compare(one, answer([chosen(1), chosen(2, -0.501), chosen(3)]), BOUND).isEqual, false);
  const candidate = compare(one, answer([chosen(1), chosen(2), chosen(3, -0.5, 2.01)]), BOUND);
  assert.equal(candidate.isEqual, false);
  assert.equal(candidate.differenceAt, 2);
  assert.equal(compare(one, answer([chosen(1, Number.NaN), chosen(2), chosen(3)]), BOUND).isEqual, false);
});

test('another token is a difference, unless the two best were as near as rounding', () => {
  const one = answer([chosen(1), chosen(2), chosen(3)]);
  const other = compare(one, answer([chosen(1), chosen(7), chosen(3)]), BOUND);
  assert.equal(other.isEqual, false);
  assert.deepEqual([other.same, other.fork], [1, { at: 1, one: 't2', other: 't7', gap: 2 }]);
  const tie = answer([chosen(1), chosen(2, -0.5, 1e-6), chosen(3)]);
  assert.equal(compare(tie, answer([chosen(1), chosen(7), chosen(9)]), BOUND).isEqual, true);
});

test('an answer that ends sooner, or for another reason, is another one', () => {
  const one = answer([chosen(1), chosen(2)]);
  const shorter = compare(one, answer([chosen(1)], 'stop'), BOUND);
  assert.equal(shorter.isEqual, false);
  assert.deepEqual([shorter.fork?.one, shorter.fork?.other], ['t2', '(stop)']);
  assert.equal(compare(one, answer([chosen(1), chosen(2)], 'stop'), BOUND).isEqual, false);
});
