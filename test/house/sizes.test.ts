/** A file near 350 lines is asking to be two. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sources } from './sources.js';

const LINES_MAX = 350;
/** One table, and all of it in one place is what it is for. */
const TABLES = new Set(['src/shared/limits.ts']);

test(`no file of src has more than ${LINES_MAX} lines`, () => {
  const faults = sources()
    .filter(({ file, lines }) => lines > LINES_MAX && !TABLES.has(file))
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
