/** A disk that is full, before a download and in the middle of it. The disk is a small one in memory, which root can make. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { downloadModel } from '../../src/models/download/download.js';
import { recordedRanges } from '../../src/models/download/partial.js';
import { sum } from '../../src/models/download/ranges.js';
import { Hub } from '../../src/models/hub/hub.js';
import { systemClock, systemRandom } from '../../src/shared/index.js';
import { startHub } from '../support/fetching.js';

import { singleFileModel } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import { promise } from '../support/promise.js';
import '../support/leaks.js';

const WEIGHTS = 'model.safetensors';
const MIB = 1024 * 1024;
const components = { clock: systemClock, random: systemRandom };
const cleanup = new Cleanup();
after(() => cleanup.dispose());

const disk = path.join(cleanup.folder(), 'disk');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk]).status === 0;
if (mounted) cleanup.add(() => spawnSync('umount', ['-l', disk]));
const skip = mounted ? false : 'a disk in memory cannot be made here (needs root on Linux)';

test('what does not fit is refused before any of it comes, with both figures', { skip }, async () => {
  const hub = await startHub(cleanup);
  hub.put('mesh/large', singleFileModel(8, MIB));
  const request = { repository: 'mesh/large', directory: path.join(disk, 'large'), parallelMax: 4 };
  await assert.rejects(
    downloadModel(
      request,
      { hub: new Hub({ endpoint: hub.endpoint }, components), ...components },
      new AbortController().signal,
    ),
    { code: 'disk-full', message: /has room for \d+ MB and 19 MB are needed/ },
  );
  assert.equal(hub.bytesSent(WEIGHTS), 0);
});

test('R6 a disk that fills up in the middle: an error that says so, nothing is lost, and it goes on when there is room', {
  skip,
}, async (t) => {
  const hub = await startHub(cleanup);
  const files = singleFileModel(4, MIB);
  hub.put('mesh/tiny', files);
  const whole = files[WEIGHTS] as Buffer;
  const directory = path.join(disk, 'tiny');
  const filler = path.join(disk, 'filler');
  const fetchIt = () =>
    downloadModel(
      { repository: 'mesh/tiny', directory, parallelMax: 4, partBytes: MIB },
      { hub: new Hub({ endpoint: hub.endpoint }, components), ...components },
      new AbortController().signal,
    );
  hub.onPiece = () => {
    if (!existsSync(filler) && hub.bytesSent(WEIGHTS) > 4 * MIB) writeFileSync(filler, Buffer.alloc(6 * MIB));
  };
  await assert.rejects(fetchIt(), { code: 'disk-full', message: /make room.*exo model rm/ });
  hub.onPiece = () => undefined;
  const kept = sum((await recordedRanges(path.join(directory, WEIGHTS)))!.ranges);
  assert.ok(kept > MIB, String(kept));
  await assert.rejects(fetchIt(), { code: 'disk-full' });
  rmSync(filler);
  const before = hub.sent.length;
  await fetchIt();
  assert.deepEqual(readFileSync(path.join(directory, WEIGHTS)), whole);
  assert.ok(hub.bytesSent(WEIGHTS, before) <= whole.length - kept);
  promise(
    t,
    'R6',
    'a disk that fills up: an error, nothing that was there is fetched again when there is room',
  );
});
