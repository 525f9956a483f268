import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeSilence, SelfHealth } from '../../src/node/membership.js';
import { LIMITS } from '../../src/shared/index.js';

describe('judgeSilence', () => {
  const cases: ReadonlyArray<[number, string]> = [
    [0, 'alive'],
    [LIMITS.suspectAfterMs - 1, 'alive'],
    [LIMITS.suspectAfterMs, 'suspect'],
    [LIMITS.deadAfterMs - 1, 'suspect'],
    [LIMITS.deadAfterMs, 'dead'],
  ];
  for (const [silentMs, verdict] of cases) {
    test(`${silentMs} ms of silence is ${verdict}`, () => assert.equal(judgeSilence(silentMs), verdict));
  }

  test('a stop of 2 s is never suspicious', () => assert.equal(judgeSilence(2_000 + 500), 'alive'));
});

describe('SelfHealth', () => {
  test('counts silence from the last sign of life', () => {
    const health = new SelfHealth(500, 0);
    for (let now = 500; now <= 6_000; now += 500) health.tick(now);
    assert.equal(health.silenceMs(1_000, 6_000), 5_000);
  });

  test('excuses everybody for the time that this process slept', () => {
    const health = new SelfHealth(500, 0);
    health.tick(500);
    assert.equal(health.tick(15_500), 14_500);
    assert.equal(health.silenceMs(400, 15_500), 0);
    assert.equal(health.silenceMs(400, 17_500), 2_000);
    assert.equal(health.wokeWithin(1_000, 16_000), true);
    assert.equal(health.wokeWithin(1_000, 17_000), false);
  });

  test('a slightly late tick is no sleep', () => {
    const health = new SelfHealth(500, 0);
    assert.equal(health.tick(1_200), 0);
    assert.equal(health.silenceMs(0, 1_200), 1_200);
  });
});
