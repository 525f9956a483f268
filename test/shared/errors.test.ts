import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ERROR_CODES, ExoError, isErrorCode, toExoError } from '../../src/shared/index.js';

describe('ExoError', () => {
  it('carries code, message, retryable and cause', () => {
    const cause = new Error('below');
    const error = new ExoError('connect-failed', 'not there', { retryable: true, cause });
    assert.ok(error instanceof Error);
    assert.deepEqual(
      [error.name, error.code, error.message, error.retryable, error.cause],
      ['ExoError', 'connect-failed', 'not there', true, cause],
    );
  });

  it('is not retryable and has no cause unless told', () => {
    const error = new ExoError('internal', 'broken');
    assert.equal(error.retryable, false);
    assert.equal('cause' in error, false);
  });

  it('is made of anything that was thrown, once', () => {
    const own = new ExoError('overloaded', 'full');
    assert.equal(toExoError(own), own);
    const thrown = new TypeError('x is not a function');
    assert.deepEqual([toExoError(thrown).code, toExoError(thrown).cause], ['internal', thrown]);
    assert.equal(toExoError('text', 'request-failed').message, 'text');
    assert.equal(toExoError('text', 'request-failed').code, 'request-failed');
  });
});

describe('error codes', () => {
  it('are stable kebab-case words with a line each', () => {
    for (const [code, line] of Object.entries(ERROR_CODES)) {
      assert.match(code, /^[a-z0-9]+(-[a-z0-9]+)*$/);
      assert.ok(line.length > 10, code);
    }
  });

  it('are known from strings that came over the wire', () => {
    assert.equal(isErrorCode('overloaded'), true);
    for (const value of ['toString', '__proto__', 'Overloaded', '', 7, null])
      assert.equal(isErrorCode(value), false);
  });
});
