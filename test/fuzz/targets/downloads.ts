/** What is read of downloads: the record beside a file that is being fetched, and the reports of other nodes. */
import assert from 'node:assert/strict';
import { downloadStatus, readDownloadStatus } from '../../../src/inference/node-models/download-board.js';
import { parseJournal, printDone, printHead, printOpen } from '../../../src/models/download/journal.js';
import { normalized, sum } from '../../../src/models/download/ranges.js';
import { isPrintable } from '../../../src/shared/index.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, varyJsonInput } from './json-text.js';

const HEAD = { size: 1_000_000, identity: 'a1'.repeat(32) };
const RECORD = [
  printHead(HEAD),
  '\n',
  printOpen({ range: [0, 600_000], boot: 'boot 1/2' }),
  printDone({ range: [0, 400_000], digest: '0123456789abcdef' }),
  printOpen({ range: [600_000, 1_000_000], boot: '' }),
  printDone({ range: [400_000, 600_000], digest: 'fedcba9876543210' }),
].join('');

/** `.partial.ranges`: written by this program, and damaged by full disks, lost power and people. */
export const journal: FuzzTarget = {
  name: 'journal',
  bytesMax: 16 * 1024,
  words: ['exo-partial 1 ', 'open ', 'done ', '\n', ' 0 ', '999999999999999', '%E0%A4%A', '%00'],
  codes: [],
  seeds: () => [
    Buffer.from(RECORD),
    Buffer.from(RECORD.slice(0, -20)),
    Buffer.from(RECORD.replaceAll('\n', '\r\n')),
    Buffer.from(printHead({ size: 0, identity: 'x' })),
    Buffer.from(''),
  ],
  run(input) {
    const found = parseJournal(input.toString('utf8'));
    if (found === undefined) return 'none';
    const { head, opens, dones } = found;
    assert.ok(Number.isSafeInteger(head.size) && head.size >= 0 && head.identity !== '');
    for (const { range } of [...opens, ...dones]) {
      const [from, to] = range;
      assert.ok(Number.isSafeInteger(from) && from >= 0 && from < to && to <= head.size, `${range}`);
    }
    assert.ok(sum(normalized(dones.map(({ range }) => range))) <= head.size);
    // What it says, written anew, says the same.
    const again = parseJournal([printHead(head), ...opens.map(printOpen), ...dones.map(printDone)].join(''));
    assert.deepEqual(again, found);
    return `opens ${Math.min(opens.length, 3)} dones ${Math.min(dones.length, 3)}`;
  },
};

const STATUS = downloadStatus(
  'node-a',
  {
    ...{
      repository: 'mesh/tiny',
      revision: 'main',
      completedFiles: 1,
      totalFiles: 2,
      isSmall: false,
      status: 'in_progress',
    },
    shard: { startLayer: 0, endLayer: 3, layers: 8 },
    ...{ downloadedBytes: 500, downloadedBytesThisSession: 400, totalBytes: 1_000 },
    ...{ bytesPerSecond: 100, etaSeconds: 5, files: [] },
  },
  'mesh/tiny',
).status;

/** `download_progress` of another node. */
export const downloadReport: FuzzTarget = {
  name: 'download-report',
  bytesMax: 16 * 1024,
  words: [
    '"download_progress"',
    '"progress"',
    '"total_bytes":',
    '"downloaded_bytes":',
    '-1',
    '1e999',
    'null',
  ],
  codes: [],
  seeds: () => [...jsonSeeds(JSON.parse(STATUS)), Buffer.from(STATUS)],
  vary: varyJsonInput(['"progress"', '"total_bytes"']),
  run(input) {
    const entry = readDownloadStatus({
      kind: 'opaque-status',
      requestId: '',
      status: input.toString('utf8'),
    });
    if (entry === undefined) return 'none';
    const { downloadedBytes, totalBytes, repository, bytesPerSecond } = entry;
    assert.ok(downloadedBytes >= 0 && downloadedBytes <= totalBytes && Number.isFinite(totalBytes));
    assert.ok(Number.isFinite(bytesPerSecond) && isPrintable(repository) && repository.length <= 200);
    return entry.layers === null ? 'whole' : 'shard';
  },
};
