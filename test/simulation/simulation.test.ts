import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import '../support/leaks.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';
import { BUGS, type Bug } from './bugs.js';
import { runSeeds } from './pool.js';
import { failureReport, summary } from './report.js';
import { simulate } from './simulate.js';

const VIRTUAL_SECONDS = 600;
const WORKERS = Math.min(2, availableParallelism());
/** Of the issue: each fault is found within so many seeds. */
const SEEDS_TO_FIND = 100;

/** 1 to `count`. */
const seeds = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('a simulated mesh under faults', () => {
  const count = repeats(6, 1_000);
  test(`keeps every promise for ${count} seeds of ${VIRTUAL_SECONDS} virtual seconds`, async (t) => {
    const startedMs = performance.now();
    const results = await runSeeds({
      seeds: seeds(count),
      workers: WORKERS,
      virtualSeconds: VIRTUAL_SECONDS,
    });
    t.diagnostic(summary(results, performance.now() - startedMs, VIRTUAL_SECONDS));
    const failed = results.filter(({ failure }) => failure !== undefined);
    for (const result of failed) t.diagnostic(failureReport(result, { virtualSeconds: VIRTUAL_SECONDS }));
    assert.deepEqual(
      failed.map(({ seed, failure }) => `seed ${seed}: ${failure}`),
      [],
    );
    promise(t, 'X2', summary(results, performance.now() - startedMs, VIRTUAL_SECONDS).replaceAll('\n', '; '));
  });

  test('is the same again when its seed is replayed, in this process and in another', async () => {
    const options = { seed: 7, virtualSeconds: 120 };
    const first = await simulate(options);
    const second = await simulate(options);
    const [elsewhere] = await runSeeds({ seeds: [7], workers: 1, virtualSeconds: 120 });
    assert.ok(first.events > 1_000, `${first.events} events`);
    assert.deepEqual([second.hash, second.events], [first.hash, first.events]);
    assert.deepEqual([elsewhere?.hash, elsewhere?.events], [first.hash, first.events]);
    const other = await simulate({ ...options, seed: 8 });
    assert.notEqual(other.hash, first.hash, 'another seed is another run');
  });

  for (const [bug, what] of Object.entries(BUGS) as Array<[Bug, string]>) {
    test(`shows the fault "${bug}" (${what}) within ${SEEDS_TO_FIND} seeds, with seed and schedule`, async (t) => {
      const results = await runSeeds({
        seeds: seeds(SEEDS_TO_FIND),
        workers: WORKERS,
        virtualSeconds: VIRTUAL_SECONDS,
        bug,
        stopAtFailure: true,
      });
      const found = results.find(({ failure }) => failure !== undefined);
      assert.ok(found !== undefined, `not found in ${results.length} seeds`);
      t.diagnostic(`found at seed ${found.seed}: ${found.failure}`);
      assert.ok(found.schedule.length > 0);
      assert.ok(found.lastEvents.some((event) => event.includes('FAILED')));
      const again = await simulate({ seed: found.seed, virtualSeconds: VIRTUAL_SECONDS, bug });
      assert.deepEqual([again.failure, again.hash], [found.failure, found.hash], 'a failure replays');
    });
  }
});
