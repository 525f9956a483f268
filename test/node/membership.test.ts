import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FlapHistory } from '../../src/node/flap-history.js';
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
    health.tick(16_500);
    assert.equal(health.wokeWithin(1_000, 17_000), false);
  });

  test('a timer that is served before the tick that is late knows that this process slept', () => {
    const health = new SelfHealth(500, 0);
    assert.equal(health.wokeWithin(1_000, 600), false);
    assert.equal(health.wokeWithin(1_000, 23_000), true);
    assert.equal(health.tick(23_000), 22_500);
    assert.equal(health.wokeWithin(1_000, 24_000), false);
  });

  test('a slightly late tick is no sleep', () => {
    const health = new SelfHealth(500, 0);
    assert.equal(health.tick(1_200), 0);
    assert.equal(health.silenceMs(0, 1_200), 1_200);
  });
});

describe('the patience of a node that is late itself', () => {
  test('doubles with every late tick up to patienceMax, and goes again when it is punctual', () => {
    const health = new SelfHealth(500, 0);
    let now = 0;
    const seen: number[] = [];
    for (let round = 0; round < 5; round++) {
      now += 3_000;
      health.tick(now);
      seen.push(health.patience);
    }
    assert.deepEqual(seen, [2, 4, 8, 8, 8]);
    for (let tick = 0; tick < 31; tick++) {
      now += 500;
      health.tick(now);
    }
    assert.equal(health.patience, 1);
  });

  test('moves suspicion and death by as much', () => {
    assert.equal(judgeSilence(LIMITS.suspectAfterMs * 8 - 1, 8), 'alive');
    assert.equal(judgeSilence(LIMITS.deadAfterMs * 8 - 1, 8), 'suspect');
    assert.equal(judgeSilence(LIMITS.deadAfterMs * 8, 8), 'dead');
  });
});

describe('a peer that dies again and again', () => {
  test('is held longer each time, from the death after flapsMax on, up to flapHoldMsMax', () => {
    const flaps = new FlapHistory();
    const holds: number[] = [];
    for (let death = 1; death <= LIMITS.flapsMax + 4; death++) {
      flaps.died(death * 1_000);
      holds.push(flaps.holdMs(death * 1_000));
    }
    const { flapHoldMsMin: min, flapHoldMsMax: max } = LIMITS;
    assert.deepEqual(holds.slice(0, LIMITS.flapsMax), new Array(LIMITS.flapsMax).fill(0));
    assert.deepEqual(holds.slice(LIMITS.flapsMax), [min, min * 2, max, max]);
  });

  test('has no past when it was steady for flapWindowMs', () => {
    const flaps = new FlapHistory();
    for (let death = 0; death < 100; death++) flaps.died(death);
    assert.ok(flaps.holdMs(100) > 0);
    assert.equal(flaps.holdMs(100 + LIMITS.flapWindowMs), 0);
  });
});
