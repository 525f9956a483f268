/** What a prompt leaves of a context, and what is refused with both numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTokensMax, assertFew, contextOf } from '../../../src/inference/answers/context-length.js';
import { ExoError } from '../../../src/shared/index.js';

const MODEL = { id: 'm', contextTokens: 100 };

const refused =
  (...numbers: readonly number[]) =>
  (error: unknown) => {
    assert.ok(error instanceof ExoError && error.code === 'prompt-too-long', String(error));
    for (const number of numbers) assert.match(error.message, new RegExp(`\\b${number}\\b`));
    return true;
  };

test('context is the smaller of the model’s and the operator’s, and what is known of the two', () => {
  assert.equal(contextOf(MODEL, 50), 50);
  assert.equal(contextOf(MODEL, 200), 100);
  assert.equal(contextOf(MODEL, undefined), 100);
  assert.equal(contextOf({}, 50), 50);
  assert.equal(contextOf({}, undefined), undefined);
});

test('context leaves an answer what the prompt does not take, and never more than the request asks for', () => {
  const room = (promptTokens: number, maxTokens?: number, contextTokensMax?: number) =>
    answerTokensMax({ promptTokens, maxTokens }, MODEL, contextTokensMax);
  assert.equal(room(60), 40);
  assert.equal(room(99), 1);
  assert.equal(room(60, 10), 10);
  assert.equal(room(60, 40), 40);
  assert.equal(room(30, undefined, 50), 20);
  assert.equal(
    answerTokensMax({ promptTokens: 1e6, maxTokens: undefined }, { id: 'm' }, undefined),
    undefined,
  );
  assert.equal(answerTokensMax({ promptTokens: 1e6, maxTokens: 7 }, { id: 'm' }, undefined), 7);
});

test('context that is too small is named with what was asked for', () => {
  const of = (promptTokens: number, maxTokens?: number, contextTokensMax?: number) => () =>
    answerTokensMax({ promptTokens, maxTokens }, MODEL, contextTokensMax);
  assert.throws(of(100), refused(100));
  assert.throws(of(4_000), refused(100, 4_000));
  assert.throws(of(60, 41), refused(100, 101, 60, 41, 40));
  assert.throws(of(51, undefined, 50), refused(50, 51));
});

test('more messages than tokens in the context are refused with both numbers', () => {
  assertFew(new Array(100).fill('x'), MODEL, 100);
  assert.throws(() => assertFew(new Array(101).fill('x'), MODEL, 100), refused(100, 101));
});
