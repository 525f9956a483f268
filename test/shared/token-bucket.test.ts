import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourceLimiter, TokenBucket } from '../../src/shared/index.js';

const takes = (bucket: TokenBucket, tries: number, nowMs: number): number => {
  let taken = 0;
  for (let count = 0; count < tries; count += 1) if (bucket.take(nowMs)) taken += 1;
  return taken;
};

describe('token bucket', () => {
  it('gives its burst at once and then nothing', () => {
    assert.equal(takes(new TokenBucket(5, 20, 0), 100, 0), 20);
  });

  it('refills at its rate, and never over its burst', () => {
    const bucket = new TokenBucket(5, 20, 0);
    takes(bucket, 100, 0);
    assert.equal(takes(bucket, 100, 199), 0);
    assert.equal(takes(bucket, 100, 1_000), 5);
    assert.equal(takes(bucket, 100, 3_600_000), 20);
  });

  it('gives its rate in the long run, however it is asked', () => {
    const bucket = new TokenBucket(5, 20, 0);
    let taken = 0;
    for (let nowMs = 0; nowMs <= 100_000; nowMs += 7) if (bucket.take(nowMs)) taken += 1;
    assert.ok(taken >= 518 && taken <= 520, `${taken}`);
  });
});

describe('source limiter', () => {
  it('limits each source by itself', () => {
    const limiter = new SourceLimiter(1, 2, 10);
    assert.deepEqual(
      ['a', 'a', 'a', 'b', 'b', 'b'].map((source) => limiter.take(source, 0)),
      [true, true, false, true, true, false],
    );
  });

  it('stays level under a flood of sources, and forgets the one that was silent longest', () => {
    const limiter = new SourceLimiter(1, 1, 3);
    for (const source of ['a', 'b', 'c']) assert.equal(limiter.take(source, 0), true);
    assert.equal(limiter.take('a', 0), false);
    assert.equal(limiter.take('d', 0), true);
    assert.equal(limiter.size, 3);
    assert.equal(limiter.take('a', 0), false);
    assert.equal(limiter.take('b', 0), true);
    for (let index = 0; index < 10_000; index += 1) limiter.take(`10.0.${index}`, 0);
    assert.equal(limiter.size, 3);
  });
});
