/** What a node keeps of requests that are over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RingRequests } from '../../../src/inference/ring/ring-requests.js';
import { ExoError, VirtualClock } from '../../../src/shared/index.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** At work for a request; the stack of its error names its method, and holds it. */
class Work {
  readonly bytes = new Uint8Array(1_000);

  fail(): ExoError {
    return new ExoError('peer-lost', 'node b is gone', { retryable: true });
  }
}

test('what was at work for a request is not kept for the reason that it ended', async () => {
  const requests = new RingRequests({ idleMs: 60_000 }, new VirtualClock(), () => undefined);
  const bury = (id: string) => {
    const work = new Work();
    requests.bury(id, work.fail());
    return new WeakRef(work);
  };
  const works = Array.from({ length: 20 }, (_, index) => bury(`r${index}`));
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  assert.deepEqual(
    works.map((work) => work.deref() === undefined),
    works.map(() => true),
  );
  const reason = requests.buried('r7');
  assert.deepEqual([reason?.code, reason?.message, reason?.retryable], ['peer-lost', 'node b is gone', true]);
});
