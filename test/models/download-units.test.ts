/** The parts of a download that need no hub: ranges, records, locks, figures, plans. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { isAnyLocked, takeLock, tryLock } from '../../src/models/disk/lock.js';
import { bootId, processStart } from '../../src/models/disk/lock-process.js';
import { parseJournal, printDone, printHead, printOpen } from '../../src/models/download/journal.js';
import { PartialFile } from '../../src/models/download/partial.js';
import { isNeeded, isTied, neededRanges, needsByFile } from '../../src/models/download/plan.js';
import {
  type DownloadProgress,
  ProgressMeter,
  repoProgressEvent,
} from '../../src/models/download/progress.js';
import { type ByteRange, common, normalized, split, sum, without } from '../../src/models/download/ranges.js';
import { retryAfterMs } from '../../src/models/hub/failure.js';
import { readHubToken } from '../../src/models/hub/token.js';
import { randomInt, seededRandom, systemClock, systemRandom, VirtualClock } from '../../src/shared/index.js';
import { solidBytes } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import { program } from '../support/program.js';
import '../support/leaks.js';

const cleanup = new Cleanup();
after(() => cleanup.dispose());
const never = new AbortController().signal;
const components = { clock: systemClock, random: systemRandom };

test('ranges agree with sets of bytes, whatever they are', () => {
  const random = seededRandom(11);
  const some = (): ByteRange[] =>
    normalized(
      Array.from({ length: randomInt(random, 0, 6) }, () => {
        const from = randomInt(random, 0, 60);
        return [from, from + randomInt(random, 0, 15)] as const;
      }),
    );
  const set = (ranges: readonly ByteRange[]) =>
    new Set(ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, index) => from + index)));
  for (let run = 0; run < 2_000; run += 1) {
    const [a, b] = [some(), some()];
    const [inA, inB] = [set(a), set(b)];
    assert.equal(sum(a), inA.size);
    assert.deepEqual(set(without(a, b)), new Set([...inA].filter((at) => !inB.has(at))));
    assert.deepEqual([...set(common(a, b))].sort(), [...inA].filter((at) => inB.has(at)).sort());
    assert.deepEqual(set(split(a, 7)), inA);
    assert.ok(split(a, 7).every(([from, to]) => to - from <= 7 && to > from));
  }
});

test('a record is read as it was written; what is cut off, foreign or out of the file is left out', () => {
  const head = { size: 100, identity: 'abc' };
  const text = `${printHead(head)}${printOpen({ range: [0, 50], boot: 'a b' })}${printDone({ range: [0, 10], digest: 'd1' })}`;
  const expected = {
    head,
    opens: [{ range: [0, 50], boot: 'a b' }],
    dones: [{ range: [0, 10], digest: 'd1' }],
  };
  assert.deepEqual(parseJournal(text), expected);
  const damaged = `${text}done 10 2\n\ndone 90 101 d2\ndone 20 20 d3\nopen 5 4 x\nnonsense\ndone 30 4`;
  assert.deepEqual(parseJournal(damaged), expected);
  for (const none of ['', 'exo-partial 2 100 abc\n', 'exo-partial 1 x abc\n'])
    assert.equal(parseJournal(none), undefined);
});

async function begin(file: string, clock = systemClock): Promise<PartialFile> {
  return PartialFile.open(file, { size: 10_000, identity: 'one', quick: false }, clock, never);
}

test('what a killed process wrote and did not record is found; after another start of the machine it is not', async () => {
  const file = path.join(cleanup.folder(), 'weights');
  const bytes = solidBytes(3_000, 4);
  const partial = await begin(file);
  const writer = await partial.writer([1_000, 9_000]);
  await writer.write(bytes);
  // Not the writer: as if the process ended here.
  await partial.close();
  const again = await begin(file);
  assert.deepEqual(again.present, [[1_000, 4_000]]);
  assert.deepEqual(await again.read([1_000, 4_000]), bytes);
  const next = await again.writer([4_000, 9_000]);
  await next.write(bytes);
  await again.close();
  const ranges = `${file}.partial.ranges`;
  writeFileSync(
    ranges,
    readFileSync(ranges, 'utf8').replaceAll(encodeURIComponent(bootId(systemClock)), 'another'),
  );
  const later = await begin(file);
  assert.deepEqual(later.present, [[1_000, 4_000]], 'recorded by then');
  assert.deepEqual(await later.read([4_000, 7_000]), Buffer.alloc(3_000), 'and what was not is wiped');
  await later.close();
});

test('a record of another version of the file is thrown away with its bytes', async () => {
  const file = path.join(cleanup.folder(), 'weights');
  const partial = await begin(file);
  const writer = await partial.writer([0, 3_000]);
  await writer.write(solidBytes(3_000, 4));
  await writer.close();
  await partial.close();
  const other = await PartialFile.open(
    file,
    { size: 10_000, identity: 'two', quick: false },
    systemClock,
    never,
  );
  assert.deepEqual(other.present, []);
  assert.deepEqual(await other.read([0, 3_000]), Buffer.alloc(3_000));
  await other.close();
});

test('a lock has one holder, is given on, and dies with its process', async () => {
  const folder = path.join(cleanup.folder(), '.exo');
  const lock = await takeLock(folder, 'a/b', components, never);
  assert.equal(await tryLock(folder, 'a/b', components), undefined);
  const other = await tryLock(folder, 'a', components);
  assert.ok(other !== undefined, 'another name is another lock');
  let hasWaited = false;
  const next = takeLock(folder, 'a/b', components, never, () => {
    hasWaited = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  await lock.release();
  await (await next).release();
  await other.release();
  assert.deepEqual(readdirSync(folder), []);
  assert.equal(typeof hasWaited, 'boolean');
  const { execArgv, file: lockFile } = program(path.resolve('src/models/disk/lock.ts'));
  const code = `
    const { takeLock } = await import('${lockFile}');
    const { systemClock, systemRandom } = await import('${program(path.resolve('src/shared/index.ts')).file}');
    await takeLock(${JSON.stringify(folder)}, 'a/b', { clock: systemClock, random: systemRandom }, new AbortController().signal);
    process.kill(process.pid, 'SIGKILL');`;
  const died = spawnSync(process.execPath, [...execArgv, '--input-type=module', '-e', code]);
  assert.equal(died.signal, 'SIGKILL', died.stderr.toString());
  assert.equal(readdirSync(folder).length, 1);
  assert.equal(await isAnyLocked(folder, components), false);
  await (await takeLock(folder, 'a/b', components, never)).release();
  assert.deepEqual(readdirSync(folder), []);
});

test('of many that want a lock at once one has it at a time', async () => {
  const folder = path.join(cleanup.folder(), '.exo');
  let holders = 0;
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      const lock = await takeLock(folder, 'x', components, new AbortController().signal);
      holders += 1;
      assert.equal(holders, 1);
      await new Promise((resolve) => setImmediate(resolve));
      holders -= 1;
      await lock.release();
    }),
  );
});

test('a claim with the pid of another process, of a former start, or of a silent machine does not count for ever', async () => {
  const folder = path.join(cleanup.folder(), '.exo');
  await (await takeLock(folder, 'x', components, never)).release();
  const claim = (fields: object) =>
    writeFileSync(
      path.join(folder, 'lock-x.0000'),
      JSON.stringify({
        pid: process.pid,
        start: processStart(process.pid),
        machine: hostname(),
        boot: bootId(systemClock),
        ...fields,
      }),
    );
  claim({});
  assert.equal(await tryLock(folder, 'x', components), undefined);
  for (const dead of [{ start: 'another' }, { boot: 'another' }, { pid: 2 ** 22 + 1 }]) {
    claim(dead);
    const lock = await tryLock(folder, 'x', components);
    assert.ok(lock !== undefined, JSON.stringify(dead));
    await lock.release();
  }
  claim({ machine: 'elsewhere' });
  assert.equal(await tryLock(folder, 'x', components), undefined);
  const clock = new VirtualClock();
  const waiting = takeLock(folder, 'x', { clock, random: systemRandom }, never);
  let lock: Awaited<typeof waiting> | undefined;
  waiting.then((taken) => {
    lock = taken;
  });
  let steps = 0;
  for (; lock === undefined && steps < 5_000; steps += 1) {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(lock !== undefined && steps >= 590, `${steps} steps of 100 ms`);
  await lock.release();
});

test('a plan: layers by their names, embedding and head at the ends, pictures only for the whole model', () => {
  const shard = (startLayer: number, endLayer: number) => ({ startLayer, endLayer, layers: 4 });
  const needed = (name: string, tied: boolean) =>
    [shard(0, 0), shard(1, 2), shard(3, 3), undefined].map((each) => isNeeded(name, each, tied));
  assert.deepEqual(needed('model.embed_tokens.weight', false), [true, false, false, true]);
  assert.deepEqual(needed('model.embed_tokens.scales', true), [true, false, true, true]);
  assert.deepEqual(needed('lm_head.weight', false), [false, false, true, true]);
  assert.deepEqual(needed('model.norm.weight', false), [false, false, true, true]);
  assert.deepEqual(needed('language_model.model.layers.1.mlp.up_proj.weight', false), [
    false,
    true,
    false,
    true,
  ]);
  assert.deepEqual(needed('vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight', false), [
    false,
    false,
    false,
    true,
  ]);
  assert.ok(isTied(['model.embed_tokens.weight', 'model.layers.0.attention.output.dense.weight']));
  assert.ok(!isTied(['model.embed_tokens.weight', 'lm_head.weight']));
  const index = new Map([
    ['model.embed_tokens.weight', 'a'],
    ['model.layers.0.x.weight', 'a'],
    ['model.layers.1.x.weight', 'b'],
    ['model.layers.2.x.weight', 'b'],
    ['model.layers.3.x.weight', 'c'],
    ['lm_head.weight', 'c'],
  ]);
  assert.deepEqual(
    [...needsByFile(index, shard(0, 1))],
    [
      ['a', 'all'],
      ['b', 'some'],
      ['c', 'none'],
    ],
  );
  const tensors = new Map([
    ['model.layers.0.x.weight', { offset: 100, bytes: 900_000 }],
    ['model.layers.1.x.weight', { offset: 900_100, bytes: 900_000 }],
  ]);
  const file = { size: 1_800_100, headerBytes: 100, tensors };
  assert.deepEqual(neededRanges(file, shard(1, 1), false), [
    [0, 100],
    [900_100, 1_800_100],
  ]);
  assert.equal(neededRanges(file, shard(0, 1), false), 'all');
});

test('figures never go back and never above all, also when a file begins anew or grows', async () => {
  const clock = new VirtualClock();
  const seen: DownloadProgress[] = [];
  const meter = new ProgressMeter({ repository: 'a/b', revision: 'main' }, clock, (each) => seen.push(each));
  meter.set('x', 1_000, 0);
  meter.set('y', 500, 500);
  meter.begin({ startLayer: 0, endLayer: 1, layers: 4 });
  for (let at = 0; at < 8; at += 1) {
    await clock.advance(500);
    meter.add('x', 100);
  }
  meter.set('x', 1_000, 0);
  for (let at = 0; at < 12; at += 1) {
    await clock.advance(500);
    meter.add('x', 100);
  }
  meter.set('x', 3_000, 1_200);
  await clock.advance(500);
  meter.add('x', 100);
  meter.complete('x');
  meter.complete('y');
  meter.end();
  let last = 0;
  for (const { downloadedBytes, totalBytes } of seen) {
    assert.ok(
      downloadedBytes <= totalBytes && downloadedBytes / totalBytes >= last,
      `${downloadedBytes}/${totalBytes}`,
    );
    last = downloadedBytes / totalBytes;
  }
  assert.equal(last, 1);
  assert.equal(seen[5]!.bytesPerSecond, 200);
  assert.equal(seen[5]!.etaSeconds, Math.ceil((1_500 - seen[5]!.downloadedBytes) / 200));
  const event = repoProgressEvent(seen[5]!, 'tiny') as Record<string, unknown>;
  assert.deepEqual(event['shard'], { model_id: 'tiny', start_layer: 0, end_layer: 1, n_layers: 4 });
  assert.deepEqual(Object.keys(event), [
    'shard',
    'repo_id',
    'repo_revision',
    'completed_files',
    'total_files',
    'downloaded_bytes',
    'downloaded_bytes_this_session',
    'total_bytes',
    'overall_speed',
    'overall_eta',
    'file_progress',
    'status',
  ]);
});

test('Retry-After is seconds or a date', () => {
  assert.equal(retryAfterMs('2', 0), 2_000);
  assert.equal(retryAfterMs('Thu, 01 Jan 1970 00:00:09 GMT', 4_000), 5_000);
  assert.equal(retryAfterMs('Thu, 01 Jan 1970 00:00:09 GMT', 40_000), 0);
  assert.equal(retryAfterMs('soon', 0), undefined);
  assert.equal(retryAfterMs(null, 0), undefined);
});

test('the token: environment before file, the file where its own tools keep it', () => {
  const userHome = cleanup.folder();
  assert.equal(readHubToken({ env: {}, userHome }), undefined);
  writeFileSync(path.join(userHome, 'token'), ' hf_file \n');
  assert.equal(readHubToken({ env: { HF_HOME: userHome }, userHome }), 'hf_file');
  assert.equal(readHubToken({ env: { HF_HOME: userHome, HF_TOKEN: 'hf_env' }, userHome }), 'hf_env');
  assert.throws(
    () => readHubToken({ env: { HF_TOKEN: 'hf\u00e9x' }, userHome }),
    (error: Error) => {
      return /token for the hub/.test(error.message) && !error.message.includes('hf\u00e9');
    },
  );
});
