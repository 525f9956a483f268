/** Signals that live as long as the program hold nothing of what is over. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sources } from './sources.js';

/** Where the signals end soon after the one that is made of them. */
const SHORT_LIVED = ['src/cli/model/node-pull.ts', 'src/models/peers/peer-source.ts'];

test('AbortSignal.any, which leaves something at its signals for good, is met among signals that end', () => {
  const users = sources()
    .filter(({ code }) => /\bAbortSignal\.any\b/.test(code))
    .map(({ file }) => file)
    .sort();
  assert.deepEqual(users, SHORT_LIVED, 'elsewhere: untilAnyAborted (src/shared/abort.ts)');
});
