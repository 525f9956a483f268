import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ExoError, VirtualClock, waitAtMost, withDeadline } from '../../src/shared/index.js';

const hangs = () => new Promise<never>(() => undefined);

describe('work with a deadline', () => {
  it('gives what it comes to, also its failure, and leaves no timer', async () => {
    const clock = new VirtualClock();
    assert.equal(await withDeadline({ clock, timeoutMs: 1_000 }, async () => 7), 7);
    const reason = new Error('broken');
    await assert.rejects(
      withDeadline({ clock, timeoutMs: 1_000 }, async () => Promise.reject(reason)),
      reason,
    );
    assert.equal(clock.pending, 0);
  });

  it('ends in time, also where it does not listen to its signal, which says why', async () => {
    const clock = new VirtualClock();
    const told: unknown[] = [];
    const waiting = withDeadline({ clock, timeoutMs: 1_500 }, (signal) => {
      signal.addEventListener('abort', () => told.push(signal.reason));
      return hangs();
    });
    const late = assert.rejects(waiting, {
      code: 'request-timeout',
      retryable: true,
      message: 'no answer within 1.5 s',
    });
    await clock.advance(1_499);
    assert.equal(told.length, 0);
    await clock.advance(1);
    await late;
    assert.ok(told[0] instanceof ExoError);
    assert.equal(clock.pending, 0);
  });

  it('says what it is told to say, as things are when the time is over', async () => {
    const clock = new VirtualClock();
    let files = 1;
    const tooLate = () => new Error(`${files} files are here`);
    const late = assert.rejects(withDeadline({ clock, timeoutMs: 1_000, tooLate }, hangs), /^Error: 2 files/);
    files = 2;
    await clock.advance(1_000);
    await late;
  });

  it('ends with its owner, and is not begun for one that is gone', async () => {
    const clock = new VirtualClock();
    const owner = new AbortController();
    const reason = new Error('over');
    let inner: AbortSignal | undefined;
    const waiting = withDeadline({ clock, timeoutMs: 1_000, owner: owner.signal }, (signal) => {
      inner = signal;
      return hangs();
    });
    owner.abort(reason);
    await assert.rejects(waiting, reason);
    assert.equal(inner?.reason, reason);
    assert.equal(clock.pending, 0);
    const never = withDeadline({ clock, timeoutMs: 1_000, owner: owner.signal }, () => assert.fail('begun'));
    await assert.rejects(never, reason);
  });

  it('leaves its signal alone when it is over', async () => {
    const clock = new VirtualClock();
    const owner = new AbortController();
    let inner: AbortSignal | undefined;
    await withDeadline({ clock, timeoutMs: 1_000, owner: owner.signal }, async (signal) => {
      inner = signal;
    });
    owner.abort(new Error('over'));
    await clock.advance(1_000);
    assert.equal(inner?.aborted, false);
  });
});

describe('a wait of some time', () => {
  it('is over with its work, with its time or with its signal, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const failure = new Error('no');
    await waitAtMost(clock, 1_000, Promise.resolve(1));
    await assert.rejects(waitAtMost(clock, 1_000, Promise.reject(failure)), failure);
    assert.equal(clock.pending, 0);
    let fail: (error: Error) => void = () => undefined;
    const work = new Promise<void>((_resolve, reject) => {
      fail = reject;
    });
    const waiting = waitAtMost(clock, 1_000, work);
    await clock.advance(1_000);
    await waiting;
    // What comes of it later is nobody's here, and no unhandled rejection.
    fail(failure);
    const owner = new AbortController();
    const ended = waitAtMost(clock, 1_000, new Promise(() => undefined), owner.signal);
    owner.abort(failure);
    await assert.rejects(ended, failure);
    assert.equal(clock.pending, 0);
  });
});
