import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { onceAborted, sleep, unlessAborted, VirtualClock, withDeadline } from '../../src/shared/index.js';

const MANY = 100;

test('a signal that many wait for at once is not taken for a leak, and nothing stays at it', async () => {
  const owner = new AbortController();
  const clock = new VirtualClock();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const waiting = Array.from({ length: MANY }, () => [
    unlessAborted(new Promise<void>(() => undefined), owner.signal),
    withDeadline({ clock, timeoutMs: 1_000, owner: owner.signal }, () => new Promise<void>(() => undefined)),
    sleep(clock, 1_000, owner.signal),
  ]).flat();
  // Warnings are told in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  assert.deepEqual(warnings, []);
  owner.abort(new Error('over'));
  for (const each of waiting) await assert.rejects(each, /over/);
  assert.equal(clock.pending, 0);
});

test('who has left is not called', async () => {
  const owner = new AbortController();
  let called = 0;
  onceAborted(owner.signal, () => {
    called += 1;
  })();
  const aborted = once(owner.signal, 'abort');
  owner.abort();
  await aborted;
  assert.equal(called, 0);
});
