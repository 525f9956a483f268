/** Downloads as all nodes see them: never backwards, never above 100, whatever is said of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DownloadBoard,
  downloadStatus,
  ownEntry,
  readDownloadStatus,
} from '../../../src/inference/node-models/download-board.js';
import type { DownloadProgress } from '../../../src/models/index.js';
import { LIMITS, VirtualClock } from '../../../src/shared/index.js';
import '../../support/leaks.js';

const progress = (downloadedBytes: number, totalBytes: number, more: object = {}): DownloadProgress => ({
  ...{
    repository: 'mesh/tiny',
    revision: 'main',
    completedFiles: 0,
    totalFiles: 1,
    isSmall: false,
    status: 'in_progress',
  },
  shard: { startLayer: 0, endLayer: 3, layers: 8 },
  ...{ downloadedBytes, downloadedBytesThisSession: downloadedBytes, totalBytes },
  ...{ bytesPerSecond: 10, etaSeconds: 1, files: [] },
  ...more,
});

test('a report of this node comes back as it was from its status, in the original’s words', () => {
  const message = downloadStatus('a', progress(40, 100), 'tiny');
  const { type, node_id: nodeId, progress: event } = JSON.parse(message.status) as Record<string, object>;
  assert.equal(type, 'download_progress');
  assert.equal(nodeId, 'a');
  assert.deepEqual(Object.keys(event!), [
    ...['shard', 'repo_id', 'repo_revision', 'completed_files', 'total_files', 'downloaded_bytes'],
    ...['downloaded_bytes_this_session', 'total_bytes', 'overall_speed', 'overall_eta', 'file_progress'],
    'status',
  ]);
  const { event: _, ...own } = ownEntry(progress(40, 100), 'tiny');
  const { event: __, ...heard } = readDownloadStatus(message)!;
  assert.deepEqual(heard, { nodeId: 'a', ...own });
});

test('what is shown never goes back and never above its total, also where a node says so', () => {
  const clock = new VirtualClock();
  const board = new DownloadBoard(clock);
  const shares = [
    [10, 100],
    [50, 100],
    [20, 100],
    [60, 200],
    [900, 200],
    [0, 200],
  ].map(([downloaded, total]) => {
    const said = readDownloadStatus(downloadStatus('b', progress(downloaded!, total!), 'tiny'))!;
    const { downloadedBytes, totalBytes, event } = board.note('b', said);
    assert.equal((event as { downloaded_bytes: number }).downloaded_bytes, downloadedBytes);
    return downloadedBytes / totalBytes;
  });
  assert.deepEqual(shares, [0.1, 0.5, 0.5, 0.5, 1, 1]);
});

test('shown are those under way; one of which nothing is heard any more, and one that is over, are not', async () => {
  const clock = new VirtualClock();
  const board = new DownloadBoard(clock);
  board.note('a', ownEntry(progress(10, 100), 'tiny'));
  board.note('b', ownEntry(progress(100, 100, { status: 'complete' }), 'tiny'));
  assert.deepEqual(
    board.running.map(({ nodeId }) => nodeId),
    ['a'],
  );
  await clock.advance(LIMITS.downloadHeardMs + 1);
  assert.deepEqual(board.running, []);
});

test('statuses of other kinds, and what makes no sense, are left alone', () => {
  const read = (status: string) => readDownloadStatus({ kind: 'opaque-status', requestId: '', status });
  for (const status of [
    '',
    'download_progress',
    '{"type":"node_status","node_id":"a"}',
    '{"type":"download_progress","node_id":"a"}',
    '{"type":"download_progress","node_id":"","progress":{"repo_id":"x","total_bytes":1,"downloaded_bytes":1}}',
    '{"type":"download_progress","node_id":"a","progress":{"repo_id":"x","total_bytes":-1,"downloaded_bytes":1}}',
    '{"type":"download_progress","node_id":"a","progress":{"repo_id":7,"total_bytes":1,"downloaded_bytes":1}}',
  ]) {
    assert.equal(read(status), undefined, status);
  }
});
