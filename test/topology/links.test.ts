import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addRttSample, type RttEstimate } from '../../src/topology/index.js';

function estimate(...samplesMs: number[]): RttEstimate {
  let state: RttEstimate | undefined;
  for (const sample of samplesMs) state = addRttSample(state, sample);
  return state!;
}

describe('rtt estimate', () => {
  it('starts with the first sample and half of it as deviation', () => {
    assert.deepEqual(estimate(80), { srttMs: 80, rttvarMs: 40, minMs: 80, latestMs: 80, samples: 1 });
  });

  it('updates the deviation before the mean, as RFC 6298 asks', () => {
    const { srttMs, rttvarMs, minMs, latestMs } = estimate(80, 120);
    assert.equal(rttvarMs, 0.75 * 40 + 0.25 * 40);
    assert.equal(srttMs, 0.875 * 80 + 0.125 * 120);
    assert.deepEqual([minMs, latestMs], [80, 120]);
  });

  it('settles on a steady path and keeps the lowest sample', () => {
    const state = estimate(200, ...Array.from({ length: 100 }, () => 10));
    assert.ok(Math.abs(state.srttMs - 10) < 0.01);
    assert.ok(state.rttvarMs < 0.5);
    assert.equal(estimate(5, 50, 60).minMs, 5);
  });

  it('ignores samples that are no time', () => {
    const state = estimate(10);
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.equal(addRttSample(state, bad), state);
    assert.equal(addRttSample(undefined, -1), undefined);
  });
});
