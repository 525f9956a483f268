/** The fuzz finds flaws that were put in on purpose, within the time that it has in `npm test`; so its silence means something. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import '../support/leaks.js';
import { watch } from './watch.js';

const module = new URL('./planted.ts', import.meta.url).href;
/** Much more than it takes, on a machine that has other work. */
const MS = 30_000;

/** A heap that is full to its brim is slow before it breaks. */
const HANG_MS: Readonly<Record<string, number>> = { memory: 20_000 };

function find(target: string, seed: number, ms = MS) {
  return watch({ module, target, seed, ms, hangMs: HANG_MS[target] ?? 4_000 });
}

describe('a planted flaw is found', { concurrency: 2 }, () => {
  for (const [target, what] of [
    ['foreign-error', /^TypeError/],
    ['raw-message', /control characters/],
    ['lost-byte', /^AssertionError/],
    ['hang', /^hang/],
    ['slow', /^slow|^hang/],
    ['memory', /memory|slow|hang/i],
  ] as const) {
    it(target, async (t) => {
      const { failure, runs, tookMs } = await find(target, 1);
      assert.ok(failure, `nothing in ${runs} runs`);
      assert.match(failure.what, what);
      assert.ok(failure.input.length > 0 || target === 'lost-byte');
      t.diagnostic(
        `${target}: ${Math.round(tookMs)} ms, ${runs} runs, ${JSON.stringify(failure.what.slice(0, 60))}`,
      );
    });
  }

  it('and the smallest input that shows it is kept', async () => {
    const { failure } = await find('lost-byte', 2);
    // Two signs of equality in one field, and nothing that they do not need.
    assert.equal(failure?.input.toString(), '==');
  });

  it('and nothing is found where nothing is wrong', async () => {
    const { failure, runs } = await find('sound', 3, 2_000);
    assert.equal(failure, undefined);
    assert.ok(runs > 100, `${runs} runs`);
  });
});
