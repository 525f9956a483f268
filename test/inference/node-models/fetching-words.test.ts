/** How far a download is, in words. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fetchingWords } from '../../../src/inference/node-models/fetching-words.js';

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
