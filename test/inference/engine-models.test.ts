/** A model that is being fetched is waited for as long as somebody else waits for the answer, and no longer. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type EngineModels, learnWithin } from '../../src/inference/engine-models.js';
import { VirtualClock } from '../../src/shared/index.js';

const { signal } = new AbortController();

function slowModels(): { readonly models: EngineModels; come(): void } {
  let come: () => void = () => undefined;
  const learnt = new Promise<void>((resolve) => {
    come = resolve;
  });
  const models = {
    defaultId: 'demo',
    list: () => [],
    find: () => assert.fail('not asked for'),
    learn: () => learnt,
    fetching: (id: string) => (id === 'mesh/slow' ? '3.4 of 10.2 MB' : undefined),
  };
  return { models, come };
}

test('what comes in time is waited for, and leaves no timer', async () => {
  const clock = new VirtualClock();
  const { models, come } = slowModels();
  const learnt = learnWithin(models, clock, { id: 'mesh/slow', mayFetch: true, patienceMs: 1_000 }, signal);
  await clock.advance(999);
  come();
  await learnt;
  await clock.advance(10_000);
});

test('what does not is a retryable error with how far it is', async () => {
  const clock = new VirtualClock();
  const { models } = slowModels();
  const learnt = learnWithin(models, clock, { id: 'mesh/slow', mayFetch: true, patienceMs: 1_000 }, signal);
  const refused = assert.rejects(learnt, {
    code: 'model-fetching',
    retryable: true,
    message: /mesh\/slow is not here yet: 3\.4 of 10\.2 MB.*ask again/,
  });
  await clock.advance(1_000);
  await refused;
});
