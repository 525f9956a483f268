/** A model that is being fetched is waited for as long as somebody else waits for the answer, and no longer. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fetchingWords } from '../../../src/inference/node-models/fetching-words.js';
import { learnWithin } from '../../../src/inference/node-models/learn-within.js';
import type { EngineModels } from '../../../src/inference/node-models/models.js';
import { VirtualClock } from '../../../src/shared/index.js';

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

test('the words name what is coming: of the small files only theirs, then the weights', () => {
  const file = (path: string, downloadedBytes: number, totalBytes: number) => ({
    ...{ path, downloadedBytes, totalBytes, downloadedBytesThisSession: 0, bytesPerSecond: 0 },
    ...{ etaSeconds: null, status: 'in_progress' as const, startedAtMs: null, isWaiting: false },
  });
  const progress = {
    ...{ repository: 'mesh/slow', revision: 'main', shard: null, completedFiles: 0, totalFiles: 2 },
    ...{ downloadedBytes: 3_400_000, downloadedBytesThisSession: 0, totalBytes: 2_000_000_000 },
    ...{ bytesPerSecond: 100_000, etaSeconds: 60, status: 'in_progress' as const },
    files: [file('tokenizer.json', 3_400_000, 10_200_000), file('model.safetensors', 0, 1_989_800_000)],
  };
  assert.equal(
    fetchingWords({ ...progress, isSmall: true }),
    'its configuration and tokenizer are being fetched: 3.4 of 10.2 MB, 68 s left',
  );
  assert.equal(
    fetchingWords({ ...progress, isSmall: false }),
    'its weights are being fetched: 3.4 of 2000.0 MB, 19966 s left',
  );
});
