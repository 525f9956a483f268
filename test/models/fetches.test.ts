/** The downloads of one node: who shares one, who waits for whom, and how they end. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type DownloadProgress, Hub, ModelFetches, ModelStore } from '../../src/models/index.js';
import { LIMITS, silentLogger, systemClock, systemRandom } from '../../src/shared/index.js';
import { hasty, REPOSITORY, startHub, WEIGHTS } from '../support/fetching.js';
import type { MockHub } from '../support/mock-hub.js';
import { singleFileModel } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import '../support/leaks.js';

const FILES = singleFileModel(8, 200_000);
const never = new AbortController().signal;
const shard = (startLayer: number, endLayer: number) => ({ startLayer, endLayer, layers: 8 });
let cleanup: Cleanup;
let hub: MockHub;
let folder: string;
let fetches: ModelFetches;
let reports: DownloadProgress[];
let checked: number;

beforeEach(async () => {
  cleanup = new Cleanup();
  hub = await startHub(cleanup);
  hub.put(REPOSITORY, FILES);
  folder = cleanup.folder();
  reports = [];
  checked = 0;
  const components = { clock: hasty, random: systemRandom };
  fetches = new ModelFetches(
    { parallelMax: 4, quick: false, partBytes: 256 * 1024 },
    {
      ...components,
      store: new ModelStore({ places: [{ path: folder, isWritable: true }] }, components),
      hub: new Hub({ endpoint: hub.endpoint }, { clock: systemClock }),
      sharing: () => undefined,
      log: silentLogger,
      checkConfig: () => {
        checked += 1;
      },
      onProgress: (each) => reports.push(each),
      onDone: () => undefined,
    },
  );
});
afterEach(async () => {
  await fetches.stop();
  await cleanup.dispose();
});

const directory = () => path.join(folder, REPOSITORY.replace('/', '--'));
const sizeOf = (name: string) => Buffer.from(FILES[name]!).length;

test('how fast files came from the hub is known afterwards', async () => {
  assert.equal(fetches.rates.of('hub'), null);
  await fetches.fetch(REPOSITORY, 'all', never);
  assert.ok(fetches.rates.of('hub')! > 0);
  assert.equal(fetches.rates.of('peers'), null);
});

test('who asks for the same shares one download; who asks for other layers gets only what is missing', async () => {
  const [one, two] = await Promise.all([
    fetches.fetch(REPOSITORY, shard(0, 3), never),
    fetches.fetch(REPOSITORY, shard(0, 3), never),
  ]);
  assert.equal(one, directory());
  assert.equal(two, one);
  assert.equal(checked, 1);
  await Promise.all([fetches.fetch(REPOSITORY, shard(4, 7), never), fetches.fetch(REPOSITORY, 'all', never)]);
  assert.ok(readFileSync(path.join(directory(), WEIGHTS)).equals(FILES[WEIGHTS] as Buffer));
  assert.equal(hub.bytesSent(WEIGHTS), sizeOf(WEIGHTS));
});

test('the small files tell of a model: config, tokenizer, and where its weights lie', async () => {
  await fetches.fetch(REPOSITORY, 'small', never);
  for (const name of ['config.json', 'tokenizer.json']) assert.ok(existsSync(path.join(directory(), name)));
  assert.ok(hub.bytesSent(WEIGHTS) <= 64 * 1024);
});

test('who leaves does not end it, who ends it ends it for all, and what came is kept', async () => {
  let pieces = 0;
  let isHeld = true;
  let go: () => void = () => undefined;
  hub.onPiece = ({ path: name }) => {
    if (name !== WEIGHTS || !isHeld) return;
    pieces += 1;
    if (pieces < 20) return;
    return new Promise((resolve) => {
      go = resolve;
    });
  };
  const leaving = new AbortController();
  const left = fetches.fetch(REPOSITORY, 'all', leaving.signal);
  const stayed = fetches.fetch(REPOSITORY, 'all', never);
  stayed.catch(() => undefined);
  leaving.abort(new Error('the client left'));
  await assert.rejects(left, /the client left/);
  const ended = fetches.end(REPOSITORY, 'it is being removed');
  await assert.rejects(stayed, { code: 'request-cancelled', message: /being removed/ });
  isHeld = false;
  go();
  await ended;
  hub.onPiece = () => undefined;
  await fetches.fetch(REPOSITORY, 'all', never);
  assert.ok(readFileSync(path.join(directory(), WEIGHTS)).equals(FILES[WEIGHTS] as Buffer));
});

test('what is fetched ahead gives way to what somebody waits for, and goes on afterwards', async () => {
  hub.put('mesh/other', singleFileModel(2, 300_000));
  const order: string[] = [];
  let begun: () => void = () => undefined;
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  hub.onPiece = async ({ path: name }) => {
    if (name === WEIGHTS) begun();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const ahead = fetches.fetch(REPOSITORY, 'all', never, { isAhead: true }).then(() => order.push('ahead'));
  await hasBegun;
  await fetches.fetch('mesh/other', 'all', never).then(() => order.push('waited for'));
  await ahead;
  assert.deepEqual(order, ['waited for', 'ahead']);
  assert.ok(readFileSync(path.join(directory(), WEIGHTS)).equals(FILES[WEIGHTS] as Buffer));
});

for (const ending of ['stop', 'end'] as const) {
  test(`what gives way when ${ending} comes is not begun again`, async () => {
    hub.put('mesh/other', FILES);
    let begun: () => void = () => undefined;
    const hasBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    hub.onPiece = () => {
      begun();
      return new Promise((resolve) => setTimeout(resolve, 20));
    };
    const ahead = fetches.fetch(REPOSITORY, 'all', never, { isAhead: true });
    const refused = assert.rejects(ahead, { code: 'request-cancelled', message: /is stopping|was ended/ });
    await hasBegun;
    const other = fetches.fetch('mesh/other', 'small', never).catch(() => undefined);
    await (ending === 'stop' ? fetches.stop() : fetches.end(REPOSITORY));
    await refused;
    await other;
    assert.ok(hub.bytesSent(WEIGHTS) < sizeOf(WEIGHTS));
  });
}

test('a hub that is away is an error after some tries, and the next one who asks begins anew', async () => {
  for (let count = 0; count < 9; count += 1) hub.failApi({ kind: 'status', status: 503 });
  await assert.rejects(fetches.fetch(REPOSITORY, 'all', never), { code: 'hub-unreachable', retryable: true });
  await fetches.fetch(REPOSITORY, 'all', never);
  await fetches.stop();
  await assert.rejects(fetches.fetch(REPOSITORY, 'all', never), { code: 'request-cancelled' });
});

test('more downloads than a node begins are refused in words, and those that run can still be joined', async () => {
  const named = Array.from({ length: LIMITS.modelFetchesMax }, (_, index) => `org/none-${index}`);
  const asked = named.map((repository) => fetches.fetch(repository, 'small', never));
  const ended = Promise.allSettled([...asked, fetches.fetch(named[0]!, 'small', never)]);
  await assert.rejects(fetches.fetch('org/one-more', 'small', never), {
    code: 'overloaded',
    retryable: true,
  });
  await Promise.all(named.map((repository) => fetches.end(repository)));
  for (const { status } of await ended) assert.equal(status, 'rejected');
  await fetches.fetch(REPOSITORY, 'small', never);
});

test('a download that is held ends with the last one that holds it; one that somebody else wants goes on', async () => {
  const begun = () =>
    new Promise<void>((resolve) => {
      hub.onPiece = async (sent) => {
        if (sent.path === WEIGHTS) resolve();
        await new Promise((next) => setTimeout(next, 5));
      };
    });
  const [first, second] = [new AbortController(), new AbortController()];
  let weights = begun();
  const one = fetches.fetch(REPOSITORY, 'all', first.signal, { isHeld: true });
  const two = fetches.fetch(REPOSITORY, 'all', second.signal, { isHeld: true });
  await weights;
  first.abort(new Error('the first leaves'));
  await assert.rejects(one, /the first leaves/);
  assert.equal(existsSync(path.join(directory(), WEIGHTS)), false);
  second.abort(new Error('the second leaves'));
  await assert.rejects(two, /the second leaves/);
  await fetches.end(REPOSITORY);
  const sent = hub.bytesSent(WEIGHTS);
  assert.ok(sent < sizeOf(WEIGHTS), `${sent} bytes`);
  // Now somebody wants it who does not hold it.
  const third = new AbortController();
  weights = begun();
  const wanted = fetches.fetch(REPOSITORY, 'all', never);
  const held = fetches.fetch(REPOSITORY, 'all', third.signal, { isHeld: true });
  await weights;
  third.abort(new Error('the third leaves'));
  await assert.rejects(held, /the third leaves/);
  hub.onPiece = () => undefined;
  assert.equal(await wanted, directory());
  assert.ok(readFileSync(path.join(directory(), WEIGHTS)).equals(FILES[WEIGHTS] as Buffer));
});

test('small files are told of as they come, as part of all there is, and say so', async () => {
  const slow = { ...FILES, 'tokenizer.json': `{"model":{}}${' '.repeat(300_000)}` };
  hub.put(REPOSITORY, slow);
  hub.onPiece = (sent) =>
    sent.path === 'tokenizer.json' ? new Promise((next) => setTimeout(next, 5)) : undefined;
  await fetches.fetch(REPOSITORY, 'small', never);
  const small = reports.filter(({ isSmall }) => isSmall);
  assert.ok(small.length > 0, 'nothing was told');
  for (const { downloadedBytes, totalBytes, status } of small) {
    assert.equal(status, 'in_progress');
    assert.ok(
      downloadedBytes <= 310_000 && totalBytes > sizeOf(WEIGHTS),
      `${downloadedBytes} of ${totalBytes}`,
    );
  }
  assert.deepEqual([reports.at(-1)?.status, reports.at(-1)?.isSmall], ['complete', false]);
});
