import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unlessAborted } from '../../src/shared/index.js';

const hangs = () => new Promise<never>(() => undefined);

describe('a wait that a signal ends', () => {
  it('gives what the work comes to, also its failure', async () => {
    const { signal } = new AbortController();
    assert.equal(await unlessAborted(Promise.resolve(7), signal), 7);
    const reason = new Error('broken');
    await assert.rejects(unlessAborted(Promise.reject(reason), signal), reason);
  });

  it('ends with the signal’s reason, also where the signal was aborted before', async () => {
    const controller = new AbortController();
    const reason = new Error('over');
    const waiting = unlessAborted(hangs(), controller.signal);
    controller.abort(reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(unlessAborted(hangs(), controller.signal), reason);
  });

  it('leaves a failure of work that nobody waits for any more to nobody', async () => {
    const controller = new AbortController();
    controller.abort(new Error('over'));
    const unheard: unknown[] = [];
    const onUnheard = (error: unknown) => unheard.push(error);
    process.on('unhandledRejection', onUnheard);
    try {
      let fail: (error: Error) => void = () => undefined;
      const work = new Promise<never>((_, reject) => {
        fail = reject;
      });
      await assert.rejects(unlessAborted(work, controller.signal), /over/);
      fail(new Error('broken'));
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('unhandledRejection', onUnheard);
    }
    assert.deepEqual(unheard, []);
  });
});
