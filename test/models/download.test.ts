/** Fetching a model from a hub: what comes, what does not, and what happens when things go wrong. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parseSafetensorsHeader, safetensorsHeaderBytes } from '../../src/models/checkpoint/safetensors.js';
import { downloadModel } from '../../src/models/download/download.js';
import { recordedRanges } from '../../src/models/download/partial.js';
import type { DownloadProgress } from '../../src/models/download/progress.js';
import type { DownloadRequest } from '../../src/models/download/request.js';
import { Hub } from '../../src/models/hub/hub.js';
import { type Clock, ExoError, systemRandom, VirtualClock } from '../../src/shared/index.js';
import { fetchFrom, REPOSITORY, startHub, WEIGHTS } from '../support/fetching.js';
import type { MockHub } from '../support/mock-hub.js';
import { shardedModel, singleFileModel, solidBytes } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import { promise } from '../support/promise.js';
import '../support/leaks.js';

const never = new AbortController().signal;
let cleanup: Cleanup;
let hub: MockHub;
let directory: string;

beforeEach(async () => {
  cleanup = new Cleanup();
  hub = await startHub(cleanup);
  directory = path.join(cleanup.folder(), 'mesh--tiny');
});
afterEach(() => cleanup.dispose());

interface Fetched {
  readonly progress: readonly DownloadProgress[];
}

async function fetchModel(
  request: Partial<DownloadRequest> = {},
  options: {
    token?: string;
    clock?: Clock;
    signal?: AbortSignal;
    checkConfig?: (config: unknown) => void;
  } = {},
): Promise<Fetched> {
  const { reports } = await fetchFrom(hub, directory, { request, ...options });
  return { progress: reports };
}

function assertSteady(progress: readonly DownloadProgress[]): void {
  let share = 0;
  let bytes = 0;
  for (const { downloadedBytes, totalBytes } of progress) {
    assert.ok(downloadedBytes <= totalBytes, `${downloadedBytes} of ${totalBytes}`);
    assert.ok(downloadedBytes / totalBytes >= share && downloadedBytes >= bytes, 'it went backwards');
    share = downloadedBytes / totalBytes;
    bytes = downloadedBytes;
  }
  assert.equal(progress.at(-1)?.status, 'complete');
  assert.equal(share, 1);
}

const bytesOf = (name: string) => readFileSync(path.join(directory, name));

test('a whole model: config, tokenizer and weights, nothing else, each byte once, in parts side by side', async () => {
  const files = singleFileModel(4, 200_000);
  hub.put(REPOSITORY, files);
  const { progress } = await fetchModel();
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json', WEIGHTS]) {
    assert.deepEqual(bytesOf(name), Buffer.from(files[name]!), name);
    assert.equal(hub.bytesSent(name), Buffer.from(files[name]!).length, name);
  }
  assert.equal(hub.bytesSent('pytorch_model.bin') + hub.bytesSent('README.md'), 0);
  assert.ok(hub.sent.filter((sent) => sent.path === WEIGHTS).length > 5);
  assert.ok(!existsSync(path.join(directory, `${WEIGHTS}.partial`)));
  assertSteady(progress);
  assert.equal(progress.at(-1)?.completedFiles, 4);
});

test('a second time: no byte of a file is asked for, and a file that somebody changed comes anew', async () => {
  const files = singleFileModel(2, 200_000);
  hub.put(REPOSITORY, files);
  await fetchModel();
  const before = hub.sent.length;
  await fetchModel();
  assert.equal(hub.sent.length, before);
  const damaged = bytesOf(WEIGHTS);
  damaged[70_000] = damaged[70_000]! ^ 1;
  writeFileSync(path.join(directory, WEIGHTS), damaged);
  await fetchModel();
  assert.deepEqual(bytesOf(WEIGHTS), files[WEIGHTS]);
  assert.equal(hub.bytesSent(WEIGHTS, before), damaged.length);
});

test('a shard of a model in several files: only the files of its layers, and of those that it shares the ranges', async () => {
  const files = shardedModel(12, 4, 300_000);
  hub.put(REPOSITORY, files);
  const { progress } = await fetchModel({ shard: { startLayer: 4, endLayer: 8, layers: 12 } });
  assert.ok(!existsSync(path.join(directory, 'model-00001-of-00003.safetensors')));
  assert.equal(hub.bytesSent('model-00001-of-00003.safetensors'), 0);
  assert.deepEqual(bytesOf('model-00002-of-00003.safetensors'), files['model-00002-of-00003.safetensors']);
  const last = 'model-00003-of-00003.safetensors';
  assertTensors(last, files[last] as Buffer, (name) => name.includes('.layers.8.'));
  const bytes = (files[last] as Buffer).length;
  assert.ok(hub.bytesSent(last) < bytes * 0.35, `${hub.bytesSent(last)} of ${bytes}`);
  assertSteady(progress);
});

test('a shard of a model in one file: its ranges; another shard adds its own, all of them together make the file', async () => {
  const files = singleFileModel(6, 300_000);
  hub.put(REPOSITORY, files);
  const whole = files[WEIGHTS] as Buffer;
  await fetchModel({ shard: { startLayer: 0, endLayer: 1, layers: 6 } });
  assertTensors(WEIGHTS, whole, (name) => /embed|layers\.[01]\./.test(name));
  await fetchModel({ shard: { startLayer: 5, endLayer: 5, layers: 6 } });
  assertTensors(WEIGHTS, whole, (name) => /embed|layers\.[015]\.|model\.norm|lm_head/.test(name));
  assert.ok(hub.bytesSent(WEIGHTS) < whole.length * 0.7);
  await fetchModel({ shard: { startLayer: 2, endLayer: 4, layers: 6 } });
  assert.equal(hub.bytesSent(WEIGHTS), whole.length);
  await fetchModel();
  assert.deepEqual(bytesOf(WEIGHTS), whole);
  assert.equal(hub.bytesSent(WEIGHTS), whole.length);
});

/** What is needed of a partial file is there and right, and it has no name yet. */
function assertTensors(name: string, whole: Buffer, isNeeded: (tensor: string) => boolean): void {
  assert.ok(!existsSync(path.join(directory, name)));
  const partial = bytesOf(`${name}.partial`);
  const known = { file: name, fileBytes: whole.length };
  const end = 8 + safetensorsHeaderBytes(partial, known);
  const needed = [...parseSafetensorsHeader(partial.subarray(8, end), known).values()].filter((each) =>
    isNeeded(each.name),
  );
  assert.ok(needed.length > 0);
  for (const { name: tensor, offset, bytes } of needed) {
    assert.deepEqual(
      partial.subarray(offset, offset + bytes),
      whole.subarray(offset, offset + bytes),
      tensor,
    );
  }
}

test('tied embeddings are for the first and the last shard', async () => {
  const files = singleFileModel(4, 300_000);
  const { safetensors } = await import('../support/model-files.js');
  const tensors = {
    'model.embed_tokens.weight': 300_000,
    'model.layers.0.a.weight': 900_000,
    'model.layers.1.a.weight': 900_000,
  };
  hub.put(REPOSITORY, { ...files, [WEIGHTS]: safetensors(tensors, 3) });
  await fetchModel({ shard: { startLayer: 1, endLayer: 1, layers: 2 } });
  assertTensors(WEIGHTS, safetensors(tensors, 3), (name) => /embed|layers\.1/.test(name));
});

test('R6 429 with Retry-After holds all requests back, 500 and broken connections are tried again from where they broke', async (t) => {
  const files = singleFileModel(4, 300_000);
  hub.put(REPOSITORY, files);
  hub.failApi({ kind: 'status', status: 503 });
  hub.fail('config.json', { kind: 'status', status: 429, headers: { 'retry-after': '2' } });
  hub.fail(
    WEIGHTS,
    { kind: 'cut', afterBytes: 100_000 },
    { kind: 'status', status: 500 },
    { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
    { kind: 'cut', afterBytes: 50_000 },
  );
  const { progress } = await fetchModel();
  assert.deepEqual(bytesOf(WEIGHTS), files[WEIGHTS]);
  assertSteady(progress);
  promise(
    t,
    'R6',
    '429, 500, 503 and broken connections in one download: the right bytes, figures never back',
  );
});

test('a Retry-After that is too long is told, and the wait is not longer than it', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 100_000));
  hub.failApi({ kind: 'status', status: 429, headers: { 'retry-after': '3600' } });
  await assert.rejects(fetchModel(), { code: 'hub-unreachable', retryable: true, message: /60 min/ });
});

test('a hub that answers only with errors is given up after some tries, and says so', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 100_000));
  hub.failApi(...Array.from({ length: 20 }, () => ({ kind: 'status', status: 502 }) as const));
  await assert.rejects(fetchModel(), {
    code: 'hub-unreachable',
    message: /answers 502.*given up after 8 tries/,
  });
});

test('R6 without support for ranges whole files come, also for a shard, and also after a break', async (t) => {
  const files = singleFileModel(4, 300_000);
  hub.put(REPOSITORY, files);
  hub.takesRanges = false;
  hub.fail(WEIGHTS, { kind: 'cut', afterBytes: 700_000 });
  const { progress } = await fetchModel({ shard: { startLayer: 1, endLayer: 1, layers: 4 } });
  assert.deepEqual(bytesOf(WEIGHTS), files[WEIGHTS]);
  assertSteady(progress);
  promise(t, 'R6', 'no ranges and a break: the right bytes, never above 100 %');
});

test('R6 damaged bytes: the file comes once more and the figures never go back; a second time is an error', async (t) => {
  const files = singleFileModel(4, 300_000);
  hub.put(REPOSITORY, files);
  hub.fail(WEIGHTS, { kind: 'corrupt' });
  const { progress } = await fetchModel();
  assert.deepEqual(bytesOf(WEIGHTS), files[WEIGHTS]);
  assert.equal(hub.bytesSent(WEIGHTS), 2 * (files[WEIGHTS] as Buffer).length);
  assertSteady(progress);
  hub.put(REPOSITORY, { ...files, [WEIGHTS]: solidBytes(500_000, 5) });
  hub.fail(WEIGHTS, { kind: 'corrupt' }, { kind: 'corrupt' }, { kind: 'corrupt' }, { kind: 'corrupt' });
  await assert.rejects(fetchModel(), {
    code: 'download-corrupt',
    message: /model\.safetensors of mesh\/tiny/,
  });
  assert.deepEqual(bytesOf(WEIGHTS), files[WEIGHTS], 'the version that was there is not touched');
  await fetchModel();
  assert.deepEqual(bytesOf(WEIGHTS), solidBytes(500_000, 5));
  promise(
    t,
    'R6',
    'damaged bytes: found by the hash, fetched once more; damaged again: an error, and the version before stays',
  );
});

test('damaged small files are found by git’s hash', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 100_000));
  hub.fail('config.json', { kind: 'corrupt' }, { kind: 'corrupt' });
  await assert.rejects(fetchModel(), { code: 'download-corrupt', message: /config\.json/ });
});

test('a connection on which nothing comes is given up after its time, and the rest is fetched', async () => {
  const files = singleFileModel(2, 300_000);
  hub.put(REPOSITORY, files);
  hub.fail(WEIGHTS, { kind: 'stall', afterBytes: 100_000 });
  const clock = new VirtualClock();
  const work = downloadModel(
    { repository: REPOSITORY, directory, parallelMax: 1 },
    { hub: new Hub({ endpoint: hub.endpoint }, { clock }), clock, random: systemRandom },
    never,
  );
  let isDone = false;
  work.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    if (hub.bytesSent(WEIGHTS) === 100_000) await clock.advance(1_000);
    else await clock.advance(1);
  }
  await work;
  assert.deepEqual(bytesOf(WEIGHTS), files[WEIGHTS]);
  assert.equal(hub.bytesSent(WEIGHTS), (files[WEIGHTS] as Buffer).length);
});

test('a model of a kind that is not computed costs its configuration and nothing else', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 100_000));
  const checkConfig = () => {
    throw new ExoError('model-unsupported', 'no such architecture');
  };
  await assert.rejects(fetchModel({}, { checkConfig }), { code: 'model-unsupported' });
  assert.deepEqual(
    hub.sent.map((sent) => sent.path),
    ['config.json'],
  );
});

test('what a hub does not give: no such model, no such revision, terms not accepted, no safetensors; each says what to do', async () => {
  await assert.rejects(fetchModel(), { code: 'model-unknown', message: /mesh\/tiny.*exo model search/ });
  hub.put(REPOSITORY, singleFileModel(2, 100_000), 'hf_right');
  await assert.rejects(fetchModel({ revision: 'v9' }), { code: 'model-unknown', message: /no revision v9/ });
  await assert.rejects(fetchModel(), { code: 'hub-refused', message: /terms.*HF_TOKEN/ });
  await assert.rejects(fetchModel({}, { token: 'hf_wrong' }), { code: 'hub-refused', message: /this token/ });
  hub.put(REPOSITORY, { 'config.json': '{}', 'pytorch_model.bin': solidBytes(10, 1) });
  await assert.rejects(fetchModel(), { code: 'model-unsupported', message: /safetensors/ });
});

test('the token goes to the hub and not to where it redirects', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 100_000), 'hf_secret');
  await fetchModel({}, { token: 'hf_secret' });
  assert.ok(hub.seen.some(({ server }) => server === 'cdn'));
  for (const { server, authorization } of hub.seen) {
    assert.equal(authorization, server === 'hub' ? 'Bearer hf_secret' : undefined);
  }
});

test('small files that come packed are taken', async () => {
  const files = singleFileModel(2, 100_000);
  hub.put(REPOSITORY, files);
  hub.packsSmall = true;
  await fetchModel();
  assert.deepEqual(bytesOf('config.json'), Buffer.from(files['config.json']!));
});

test('called off in the middle it ends at once, and goes on from there', async () => {
  const files = singleFileModel(4, 300_000);
  hub.put(REPOSITORY, files);
  const controller = new AbortController();
  hub.onPiece = () => {
    if (hub.bytesSent(WEIGHTS) > 1_000_000) controller.abort(new ExoError('request-cancelled', 'enough'));
  };
  await assert.rejects(fetchModel({}, { signal: controller.signal }), { code: 'request-cancelled' });
  const kept = await recordedRanges(path.join(directory, WEIGHTS));
  const keptBytes = kept!.ranges.reduce((total, [from, to]) => total + to - from, 0);
  assert.ok(keptBytes > 50_000, String(keptBytes));
  hub.onPiece = () => undefined;
  const before = hub.sent.length;
  const { progress } = await fetchModel();
  assert.deepEqual(bytesOf(WEIGHTS), files[WEIGHTS]);
  assert.equal(hub.bytesSent(WEIGHTS, before), (files[WEIGHTS] as Buffer).length - keptBytes);
  assert.ok(progress[0]!.downloadedBytes >= keptBytes, 'what was there counts from the start');
  assertSteady(progress);
});

test('ranges of the record whose bytes are others on disk are fetched again, and only those', async () => {
  const files = singleFileModel(4, 900_000);
  hub.put(REPOSITORY, files);
  const shard = { startLayer: 0, endLayer: 1, layers: 4 };
  await fetchModel({ shard });
  const file = path.join(directory, `${WEIGHTS}.partial`);
  const bytes = readFileSync(file);
  bytes[100_000] = bytes[100_000]! ^ 1;
  writeFileSync(file, bytes);
  const before = hub.sent.length;
  await fetchModel({ shard, quick: true });
  assert.equal(hub.bytesSent(WEIGHTS, before), 0, 'a quick check believes the record');
  await fetchModel({ shard });
  assertTensors(WEIGHTS, files[WEIGHTS] as Buffer, (name) => /embed|layers\.[01]\./.test(name));
  const again = hub.bytesSent(WEIGHTS, before);
  assert.ok(again > 0 && again <= 256 * 1024, String(again));
});
