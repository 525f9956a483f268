import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { test } from 'node:test';
import {
  onceAborted,
  sleep,
  unlessAborted,
  untilAnyAborted,
  VirtualClock,
  withDeadline,
} from '../../src/shared/index.js';

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

test('work under several signals ends with the reason of the first that is aborted, and leaves nothing at any', async () => {
  const [one, other, gone] = [new AbortController(), new AbortController(), new AbortController()];
  const signals = [one.signal, undefined, other.signal];
  assert.equal(await untilAnyAborted(signals, async (signal) => signal.aborted), false);
  const waits = untilAnyAborted(signals, (signal) =>
    unlessAborted(new Promise<void>(() => undefined), signal),
  );
  other.abort(new Error('the other one'));
  await assert.rejects(waits, /the other one/);
  gone.abort(new Error('before it began'));
  const late = untilAnyAborted([one.signal, gone.signal], async (signal) => signal.throwIfAborted());
  await assert.rejects(late, /before it began/);
  for (const { signal } of [one, other, gone]) assert.deepEqual(getEventListeners(signal, 'abort'), []);
});
