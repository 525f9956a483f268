/** A fetching process that is killed at any moment, and several that share a folder: no good byte is fetched twice. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { LayerRange } from '../../src/models/download/plan.js';
import { type ByteRange, common, normalized, sum } from '../../src/models/download/ranges.js';
import { randomInt, seededRandom } from '../../src/shared/index.js';
import { startHub } from '../support/fetching.js';
import type { MockHub } from '../support/mock-hub.js';
import { shardedModel, singleFileModel } from '../support/model-files.js';
import { type Child, Cleanup, ROOT } from '../support/processes.js';
import { program } from '../support/program.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';
import '../support/leaks.js';

const REPOSITORY = 'mesh/tiny';
const WEIGHTS = 'model.safetensors';
const PROGRAM = program(path.join(ROOT, 'test/support/download-process.ts'));
const MIB = 1024 * 1024;
let cleanup: Cleanup;
let hub: MockHub;
let directory: string;

beforeEach(async () => {
  cleanup = new Cleanup();
  hub = await startHub(cleanup);
  directory = path.join(cleanup.folder(), 'mesh--tiny');
});
afterEach(() => cleanup.dispose());

function start(shard?: LayerRange): Child {
  const request = { endpoint: hub.endpoint, repository: REPOSITORY, directory, partBytes: MIB, shard };
  return cleanup.child(process.execPath, [...PROGRAM.argv, JSON.stringify(request)], { cwd: ROOT });
}

/** What of a file is on disk, found by comparing its bytes; the model has no zero but in the lengths of headers. */
function goodRanges(name: string, whole: Buffer): ByteRange[] {
  const file = path.join(directory, name);
  if (existsSync(file)) return [[0, whole.length]];
  if (!existsSync(`${file}.partial`)) return [];
  const bytes = readFileSync(`${file}.partial`);
  const ranges: ByteRange[] = [];
  let from = -1;
  for (let at = 0; at <= bytes.length; at += 1) {
    const isGood = at < bytes.length && bytes[at] !== 0;
    if (isGood) {
      assert.equal(bytes[at], whole[at], `byte ${at} of ${name} on disk`);
      if (from < 0) from = at;
    } else if (from >= 0) {
      ranges.push([from, at]);
      from = -1;
    }
  }
  return ranges;
}

/** Bytes of a file that were sent since, and were good before. */
function fetchedTwice(name: string, good: readonly ByteRange[], since: number): number {
  const sent = hub.sent.slice(since).filter((each) => each.path === name);
  return sent.reduce((total, { from, to }) => total + sum(common(normalized(good), [[from, to]])), 0);
}

/** Fetches, killed `kills` times after a random number of bytes, then left to get through. */
async function killAndResume(whole: Buffer, kills: number, seed: number, shard?: LayerRange): Promise<void> {
  const random = seededRandom(seed);
  let share = 0;
  for (let kill = 0; kill <= kills; kill += 1) {
    const good = goodRanges(WEIGHTS, whole);
    const since = hub.sent.length;
    // Also before the first byte, and long before the first record.
    const missing = whole.length - sum(good);
    const killAfter = randomInt(
      random,
      0,
      Math.min(Math.floor(missing / 4), Math.ceil((3 * whole.length) / kills)),
    );
    const child = start(shard);
    hub.onPiece = () => {
      if (kill < kills && hub.bytesSent(WEIGHTS, since) >= killAfter) child.kill('SIGKILL');
    };
    const exit = await child.closed;
    assert.equal(
      fetchedTwice(WEIGHTS, good, since),
      0,
      `seed ${seed}, kill ${kill}: good bytes were fetched again`,
    );
    assert.equal(exit, kill < kills ? 'SIGKILL' : 0, child.output);
    for (const [, done, total] of child.stdout.matchAll(/^progress (\d+) (\d+)$/gm)) {
      const now = Number(done) / Number(total);
      assert.ok(now <= 1 && now >= share, `seed ${seed}, kill ${kill}: ${share} was shown, then ${now}`);
      share = now;
    }
  }
  assert.equal(share, 1);
}

test('R6 killed twenty times with -9 at random moments: the file is right, and nothing good came twice', async (t) => {
  const files = singleFileModel(8, MIB / 2);
  hub.put(REPOSITORY, files);
  const whole = files[WEIGHTS] as Buffer;
  await killAndResume(whole, 20, 5);
  assert.deepEqual(readFileSync(path.join(directory, WEIGHTS)), whole);
  assert.ok(!existsSync(path.join(directory, `${WEIGHTS}.partial`)));
  promise(
    t,
    'R6',
    '20 × kill -9: the file is right, 0 good bytes fetched again, the percentage never back over all of it',
  );
});

test('the same for the ranges of a shard', async () => {
  const files = singleFileModel(8, MIB / 2);
  hub.put(REPOSITORY, files);
  const whole = files[WEIGHTS] as Buffer;
  await killAndResume(whole, repeats(5, 20), 6, { startLayer: 2, endLayer: 6, layers: 8 });
  const good = sum(goodRanges(WEIGHTS, whole));
  assert.ok(good >= 5 * MIB && good < 6 * MIB, String(good));
});

test('two processes that share a folder fetch each byte once, whoever comes first', async () => {
  const files = shardedModel(8, 2, 400_000);
  hub.put(REPOSITORY, files);
  const children = [start(), start()];
  for (const child of children) assert.equal(await child.closed, 0, child.output);
  for (const [name, bytes] of Object.entries(files)) {
    assert.deepEqual(readFileSync(path.join(directory, name)), Buffer.from(bytes), name);
    assert.equal(hub.bytesSent(name), Buffer.from(bytes).length, name);
  }
});

test('two processes with two shards of one file: each gets its ranges, what both need comes once', async () => {
  const files = singleFileModel(8, 600_000);
  hub.put(REPOSITORY, files);
  const whole = files[WEIGHTS] as Buffer;
  const children = [
    start({ startLayer: 0, endLayer: 4, layers: 8 }),
    start({ startLayer: 4, endLayer: 7, layers: 8 }),
  ];
  for (const child of children) assert.equal(await child.closed, 0, child.output);
  assert.equal(hub.bytesSent(WEIGHTS), whole.length);
});

test('when the one that fetches is killed, the one that waits goes on at once with what is there', async () => {
  const files = singleFileModel(4, 1.5 * MIB);
  hub.put(REPOSITORY, files);
  const whole = files[WEIGHTS] as Buffer;
  const first = start();
  let second: Child | undefined;
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  hub.onPiece = async (sent) => {
    if (sent.path !== WEIGHTS || hub.bytesSent(WEIGHTS) < 5 * MIB) return;
    // Both are at work now, and one of them only waits.
    second ??= start();
    await gate;
  };
  await first.sees(/begun/, 30_000);
  while (second === undefined) await new Promise((resolve) => setImmediate(resolve));
  await (second as Child).sees(/begun/, 30_000);
  first.kill('SIGKILL');
  await first.closed;
  const good = goodRanges(WEIGHTS, whole);
  const since = hub.sent.length;
  release();
  assert.equal(await (second as Child).closed, 0, (second as Child).output);
  assert.ok(sum(good) > MIB);
  assert.equal(fetchedTwice(WEIGHTS, good, since), 0);
  assert.deepEqual(readFileSync(path.join(directory, WEIGHTS)), whole);
});
