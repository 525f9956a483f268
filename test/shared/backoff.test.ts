import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fullJitterMs, seededRandom } from '../../src/shared/index.js';

const OPTIONS = { ceilingMsMin: 500, ceilingMsMax: 10_000, share: 0.3 };
const almostOne = { next: () => 1 - 2 ** -32, bytes: (count: number) => Buffer.alloc(count) };
const zero = { next: () => 0, bytes: (count: number) => Buffer.alloc(count) };

describe('full jitter', () => {
  it('has a ceiling that grows with the outage, between its bounds', () => {
    const ceiling = (sinceLossMs: number) => Math.round(fullJitterMs(OPTIONS, sinceLossMs, almostOne));
    assert.equal(ceiling(0), 500);
    assert.equal(ceiling(1_000), 500);
    assert.equal(ceiling(10_000), 3_000);
    assert.equal(ceiling(3_600_000), 10_000);
  });

  it('may be nothing, so that many who lost one hub do not return together', () => {
    assert.equal(fullJitterMs(OPTIONS, 3_600_000, zero), 0);
  });

  it('is spread evenly below the ceiling', () => {
    const random = seededRandom(9);
    const quarters = [0, 0, 0, 0];
    for (let draw = 0; draw < 4_000; draw += 1) {
      const index = Math.floor(fullJitterMs(OPTIONS, 3_600_000, random) / 2_500);
      quarters[index] = (quarters[index] ?? 0) + 1;
    }
    assert.equal(quarters.length, 4);
    for (const count of quarters) assert.ok(count > 850 && count < 1_150, `${quarters}`);
  });
});
