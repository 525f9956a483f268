/** A shard that ends the engine's process again and again is left alone for a while. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalLoads } from '../../../src/inference/engines/ggml/process/fatal-loads.js';
import { ExoError, VirtualClock } from '../../../src/shared/index.js';

const DEATH = new ExoError('engine-failed', 'SIGABRT', { retryable: true });

test('fatal loads: three deaths in a row give a shard a rest, with the reason, and nobody else', async () => {
  const clock = new VirtualClock();
  const loads = new FatalLoads(clock);
  for (let death = 0; death < 3; death += 1) {
    loads.check('m 0-5');
    loads.note('m 0-5', DEATH);
  }
  assert.throws(() => loads.check('m 0-5'), {
    code: 'engine-failed',
    retryable: false,
    message: /3 times in a row.*m 0-5.*60 s.*SIGABRT/s,
  });
  loads.check('m 0-2');
  await clock.advance(60_000);
  loads.check('m 0-5');
  loads.note('m 0-5', DEATH);
  assert.throws(() => loads.check('m 0-5'), { code: 'engine-failed' }, 'after the rest one try is enough');
});

test('fatal loads: a load that succeeds forgets the deaths before it', () => {
  const loads = new FatalLoads(new VirtualClock());
  loads.note('m 0-5', DEATH);
  loads.note('m 0-5', DEATH);
  loads.forget('m 0-5');
  loads.note('m 0-5', DEATH);
  loads.check('m 0-5');
});
