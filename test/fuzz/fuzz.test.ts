/**
 * Every parser under fuzz for a few seconds, beginning with what was a bug once (found/) and with inputs that reach far
 * (corpus/). `npm run fuzz` does the same for ten minutes each. EXO_FUZZ_MS sets the time, EXO_FUZZ_SEED the seed.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import '../support/leaks.js';
import { ROOT } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { TEST_SEED } from '../support/seed.js';
import { load, saveFound } from './store.js';
import { TARGETS } from './targets/index.js';
import { describeFailure, watch } from './watch.js';

/** A campaign names ten minutes, and `npm run fuzz` gives them; all of them here would take hours. */
const MS = Math.min(Number(process.env['EXO_FUZZ_MS'] ?? 5_000), 120_000);
const SEED = Number(process.env['EXO_FUZZ_SEED'] ?? TEST_SEED);
/** Threads at once. Each has less than a core then, and all of them are done in a minute. */
const AT_ONCE = 6;
const CORPUS_BYTES_MAX = 200 * 1024;

const module = new URL('./targets/index.ts', import.meta.url).href;
const totals = { targets: 0, runs: 0 };

describe('a parser answers any input with a result or an error of its own', { concurrency: AT_ONCE }, () => {
  for (const target of Object.keys(TARGETS)) {
    it(target, async (t) => {
      const known = load('corpus', target).length + load('found', target).length;
      const { failure, runs, tookMs, added } = await watch({ module, target, ms: MS, seed: SEED });
      if (failure !== undefined) {
        const file = path.relative(ROOT, saveFound(target, failure.input));
        assert.fail(`EXO_FUZZ_SEED=${SEED}: ${describeFailure(target, failure, file)}`);
      }
      assert.ok(runs > known, `only ${runs} runs`);
      totals.targets += 1;
      totals.runs += runs;
      t.diagnostic(
        `${target}: ${runs} runs in ${(tookMs / 1_000).toFixed(1)} s, ${added} inputs that led further`,
      );
    });
  }
});

it('what is kept of the fuzz stays small, and belongs to a target', (t) => {
  let bytes = 0;
  for (const shelf of ['corpus', 'found'] as const) {
    const folder = path.join(ROOT, 'test/fuzz', shelf);
    for (const target of existsSync(folder) ? readdirSync(folder) : []) {
      assert.ok(Object.hasOwn(TARGETS, target), `test/fuzz/${shelf}/${target} belongs to no target`);
      for (const { input } of load(shelf, target)) bytes += input.length;
    }
  }
  assert.ok(bytes < CORPUS_BYTES_MAX, `${bytes} bytes in test/fuzz/corpus and test/fuzz/found`);
  assert.equal(totals.targets, Object.keys(TARGETS).length, 'a target failed');
  promise(
    t,
    'P3',
    `${totals.runs} inputs to ${totals.targets} parsers, ${MS / 1_000} s each; no error but our own`,
  );
});
