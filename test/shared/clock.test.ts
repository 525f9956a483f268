import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep, systemClock, VirtualClock } from '../../src/shared/index.js';

describe('sleep', () => {
  it('resolves after its time', async () => {
    const clock = new VirtualClock();
    let awake = false;
    void sleep(clock, 100).then(() => {
      awake = true;
    });
    await clock.advance(99);
    assert.equal(awake, false);
    await clock.advance(1);
    assert.equal(awake, true);
  });

  it('rejects with the reason when aborted, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    const reason = new Error('no longer needed');
    const sleeping = sleep(clock, 100, controller.signal);
    controller.abort(reason);
    await assert.rejects(sleeping, reason);
    assert.equal(clock.pending, 0);
  });

  it('rejects at once with a signal that is aborted already', async () => {
    const clock = new VirtualClock();
    await assert.rejects(sleep(clock, 100, AbortSignal.abort(new Error('gone'))), /gone/);
    assert.equal(clock.pending, 0);
  });
});

describe('system clock', () => {
  it('moves on, and calls back not before the delay', async () => {
    const beforeMs = systemClock.now();
    await new Promise<void>((resolve) => systemClock.after(15, resolve));
    // Node counts in whole milliseconds, so it may be up to one early.
    assert.ok(systemClock.now() - beforeMs >= 14);
    assert.ok(Math.abs(systemClock.wall() - Date.now()) < 1_000);
  });

  it('repeats until cancelled', async () => {
    let ticks = 0;
    await new Promise<void>((resolve) => {
      const timer = systemClock.every(1, () => {
        ticks += 1;
        if (ticks < 3) return;
        timer.cancel();
        resolve();
      });
    });
    assert.equal(ticks, 3);
  });

  it('does not call back what was cancelled', async () => {
    systemClock.after(1, () => assert.fail('called')).cancel();
    await new Promise<void>((resolve) => systemClock.after(5, resolve));
  });
});
