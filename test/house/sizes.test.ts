/** A file near 350 lines is asking to be two. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sources } from './sources.js';

const LINES_MAX = 350;

test(`no file of src has more than ${LINES_MAX} lines`, () => {
  const faults = sources()
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ file, lines }) => `${file}: ${lines}`);
  assert.deepEqual(faults, []);
});

test('every file of src opens with what it is', () => {
  const faults = sources()
    .filter(({ lines }) => lines > 0)
    .filter(({ file, code }) => file.endsWith('.ts') && !/^(?:#!.*\n)?\s*\n/.test(code.slice(0, 400)))
    .map(({ file }) => file);
  assert.deepEqual(faults, [], 'the file does not begin with a comment');
});
