/** The JSON reader of the wire: Python's words, and input that is meant to cost much or to end up on a terminal. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readJson } from '../../src/protocol/index.js';
import { ExoError, isPrintable } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';

const refusal = (bytes: Buffer): ExoError => {
  try {
    readJson(bytes);
  } catch (error) {
    if (error instanceof ExoError) return error;
    throw error;
  }
  throw new Error('it was read');
};

describe('the JSON of the wire', () => {
  it('reads the words of Python outside of texts only', () => {
    assert.deepEqual(
      readJson(Buffer.from('{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN \\" -Infinity"}')),
      {
        a: null,
        b: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
        c: 'NaN " -Infinity',
      },
    );
    for (const text of ['{"a": NaNs}', '[xInfinity]', '[Infinity1]', '{"a": --Infinity}']) {
      assert.equal(refusal(Buffer.from(text)).code, 'frame-malformed', text);
    }
  });

  it('is refused in time that grows with its length, whatever is in it', () => {
    // A text without an end, full of escaped quotes: read again from each of them it takes minutes.
    const startMs = performance.now();
    const error = refusal(Buffer.from(`{"a": NaN, "b": "${'\\"'.repeat(1_000_000)}`));
    assert.equal(error.code, 'frame-malformed');
    assert.ok(performance.now() - startMs < inTime(5_000));
    assert.equal(refusal(Buffer.from(`["${'a'.repeat(8_000_000)}", NaN x]`)).code, 'frame-malformed');
  });

  it('is refused in words that a terminal can show', () => {
    for (const text of ['{"a\u001b[31m', '\u0007', '{"a": \u202e}', '{"a":\n\u009bx']) {
      assert.ok(isPrintable(refusal(Buffer.from(text)).message), JSON.stringify(text));
    }
  });
});
