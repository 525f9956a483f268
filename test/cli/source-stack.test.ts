/** Stack traces of the built program, in the places of the sources. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { sourceStack } from '../../src/cli/source-stack.js';
import { Cleanup, ROOT } from '../support/processes.js';

/** An error whose stack says that it happened in `file`. */
function errorAt(file: string): Error {
  const error = new Error('it broke');
  error.stack = `Error: it broke\n    at act (${pathToFileURL(file).href}:2:3)\n    at node:internal/x:1:1`;
  return error;
}

test('a stack names the place in the source, by the map beside the file', async () => {
  const cleanup = new Cleanup();
  try {
    const folder = cleanup.folder();
    const file = path.join(folder, 'program', 'chunk.js');
    mkdirSync(path.dirname(file));
    // Line 2, column 1 comes from line 1 + 4 = 5, column 1 of the first source (VLQ: 0, 0, 4, 0).
    const map = { version: 3, sources: ['../src/act.ts'], names: [], mappings: ';AAIA' };
    writeFileSync(`${file}.map`, JSON.stringify(map));
    const source = path.relative(ROOT, path.join(folder, 'src/act.ts'));
    assert.equal(
      sourceStack(errorAt(file)),
      `Error: it broke\n    at act (${source}:5:1)\n    at node:internal/x:1:1`,
    );
  } finally {
    await cleanup.dispose();
  }
});

test('a stack stays as it is where a map is missing or broken', async () => {
  const cleanup = new Cleanup();
  try {
    const file = path.join(cleanup.folder(), 'chunk.js');
    const error = errorAt(file);
    assert.equal(sourceStack(error), error.stack);
    writeFileSync(`${file}.map`, 'not a map');
    assert.equal(sourceStack(error), error.stack);
  } finally {
    await cleanup.dispose();
  }
});

test('what is no error has no stack', () => {
  assert.equal(sourceStack('thrown text'), undefined);
  assert.equal(sourceStack(undefined), undefined);
});
