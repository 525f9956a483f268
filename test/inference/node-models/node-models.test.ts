import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { NodeModels } from '../../../src/inference/node-models/index.js';
import { type ModelFetches, ModelStore } from '../../../src/models/index.js';
import { ExoError, LIMITS, silentLogger, systemRandom, VirtualClock } from '../../../src/shared/index.js';
import { ROOT } from '../../support/processes.js';
import { writeRandomCheckpoint } from '../../support/random-checkpoint.js';

const { signal } = new AbortController();
const golden = JSON.parse(readFileSync(path.join(ROOT, 'test/golden/llama.json'), 'utf8')) as {
  config: Record<string, unknown>;
};
const LAYERS = golden.config['num_hidden_layers'] as number;

type Fetch = ModelFetches['fetch'];

function shelf(t: TestContext, demo = false, fetch?: Fetch) {
  const folder = mkdtempSync(path.join(tmpdir(), 'exo-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new VirtualClock();
  const store = new ModelStore(
    { places: [{ path: folder, isWritable: true }] },
    { clock, random: systemRandom },
  );
  const write = async (name: string) => {
    const directory = path.join(folder, name);
    mkdirSync(directory, { recursive: true });
    await writeRandomCheckpoint(directory, golden.config, { seed: 1 });
    return directory;
  };
  const demoDirectory = path.join(folder, 'demo');
  const models = new NodeModels({
    store,
    ...(demo ? { demoDirectory } : {}),
    ...(fetch === undefined ? {} : { fetches: { fetch } }),
    clock,
    log: silentLogger,
  });
  return { folder, clock, models, write };
}

test('a model on disk is known by its repository, its short name and its folder', async (t) => {
  const { models, write } = shelf(t);
  const ours = await write('someone--tiny');
  const named = await write('mlx-community--Llama-3.2-1B-Instruct-4bit');
  await models.refresh();
  assert.deepEqual(
    models.list().map(({ id, layers, ready }) => [id, layers, ready]),
    [
      ['llama-3.2-1b', LAYERS, true],
      ['someone/tiny', LAYERS, true],
    ],
  );
  assert.equal(await models.directoryOf('someone/tiny', signal), ours);
  assert.equal(await models.directoryOf('llama-3.2-1b', signal), named);
  assert.equal(models.find('mlx-community/Llama-3.2-1B-Instruct-4bit').id, 'llama-3.2-1b');
});

test('a model that comes later is found when it is asked for, and made-up names cost one look in a while', async (t) => {
  const { models, write, clock } = shelf(t);
  await models.refresh();
  await write('someone--late');
  await models.learn('someone/late', signal);
  assert.throws(() => models.find('someone/late'), { code: 'model-unknown', message: /exo model pull/ });
  await clock.advance(LIMITS.modelsLookEveryMs);
  await models.learn('someone/late', signal);
  assert.equal(models.find('someone/late').layers, LAYERS);
});

test('the demo model is the default; one that cannot be read, or half a model, hides nothing', async (t) => {
  const { folder, models, write, clock } = shelf(t, true);
  await write('demo');
  const broken = await write('someone--broken');
  writeFileSync(path.join(broken, 'config.json'), '{');
  const half = await write('someone--half');
  rmSync(path.join(half, 'model.safetensors'));
  await models.refresh();
  assert.equal(models.defaultId, 'demo');
  assert.equal(models.find('demo').ready, true);
  assert.ok(!models.list().some(({ id, ready }) => id === 'someone/broken' && ready));
  assert.ok(!models.list().some(({ id, ready }) => id === 'someone/half' && ready));
  writeFileSync(path.join(folder, 'demo', 'config.json'), '{');
  await clock.advance(LIMITS.modelsLookEveryMs);
  await models.refresh();
  assert.throws(() => models.find('demo'), { code: 'model-unknown' });
});

test('a model whose folder another process removed is not known any more, and is known again when it is back', async (t) => {
  const { models, write, clock } = shelf(t);
  const directory = await write('someone--tiny');
  await models.learn('someone/tiny', signal);
  await models.learn('someone/tiny', signal);
  rmSync(directory, { recursive: true });
  // Within an answer nobody looks.
  await models.learn('someone/tiny', signal);
  assert.equal(models.find('someone/tiny').layers, LAYERS);
  await clock.advance(LIMITS.modelsLookEveryMs);
  await models.learn('someone/tiny', signal);
  assert.throws(() => models.find('someone/tiny'), { code: 'model-unknown' });
  await write('someone--tiny');
  await clock.advance(LIMITS.modelsLookEveryMs);
  assert.equal(await models.directoryOf('someone/tiny', signal), directory);
  rmSync(directory, { recursive: true });
  await assert.rejects(models.directoryOf('someone/tiny', signal), { code: 'model-unknown' });
});

test('a folder that was named and holds no model says why, and what was removed is forgotten', async (t) => {
  const { models, folder, write, clock } = shelf(t);
  const away = path.join(folder, 'away');
  await assert.rejects(models.learn(away, signal, true), {
    code: 'model-unknown',
    message: /holds no config.json/,
  });
  const directory = await write('away');
  writeFileSync(path.join(directory, 'config.json'), '{');
  await assert.rejects(models.learn(away, signal, true), {
    code: 'checkpoint-invalid',
    message: /can be read/,
  });
  await write('away');
  await models.learn(away, signal, true);
  assert.equal(models.find(away).layers, LAYERS);
  rmSync(directory, { recursive: true });
  await clock.advance(LIMITS.modelsLookEveryMs);
  await assert.rejects(models.learn(away, signal, true), { code: 'model-unknown' });
  assert.deepEqual(models.list(), []);
});

test('a start waits for a slow disk only a moment; who asks for a model meanwhile gets it, and the look goes on', async (t) => {
  const { folder, clock, write } = shelf(t);
  await write('someone--first');
  await write('someone--second');
  const store = new ModelStore(
    { places: [{ path: folder, isWritable: true }] },
    { clock, random: systemRandom },
  );
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = {
    find: store.find.bind(store),
    async *each(stop: AbortSignal) {
      for await (const model of store.each(stop)) {
        yield model;
        await held;
      }
    },
  };
  const models = new NodeModels({ store: slow, clock, log: silentLogger });
  const started = models.start();
  let isStarted = false;
  void started.then(() => {
    isStarted = true;
  });
  while (!isStarted) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1);
  }
  assert.ok(clock.now() >= LIMITS.modelsStartMs);
  await models.learn('someone/second', signal);
  assert.equal(models.find('someone/second').layers, LAYERS);
  // Neither does who asks for one that is not there.
  await models.learn('someone/none', signal);
  assert.throws(() => models.find('someone/none'), { code: 'model-unknown' });
  await models.filesCame('someone/first');
  assert.equal(models.find('someone/first').layers, LAYERS);
  release();
  await models.refresh();
  assert.deepEqual(
    models.list().map(({ id }) => id),
    ['someone/first', 'someone/second'],
  );
  models.stop();
});

test('a disk that never answers ends a look; what was known stays', async (t) => {
  const { folder, clock, write } = shelf(t);
  await write('someone--tiny');
  const store = new ModelStore(
    { places: [{ path: folder, isWritable: true }] },
    { clock, random: systemRandom },
  );
  let isStuck = false;
  const stuck = {
    find: store.find.bind(store),
    async *each(stop: AbortSignal) {
      if (isStuck) await new Promise(() => undefined);
      yield* store.each(stop);
    },
  };
  const models = new NodeModels({ store: stuck, clock, log: silentLogger });
  await models.refresh();
  isStuck = true;
  const look = models.refresh();
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(LIMITS.modelsLookMs);
  await look;
  assert.equal(models.find('someone/tiny').layers, LAYERS);
});

test('names of peers are never paths', async (t) => {
  const { models, folder, write } = shelf(t);
  await write('someone--tiny');
  await models.refresh();
  for (const name of [
    path.join(folder, 'someone--tiny'),
    '../someone--tiny',
    '/etc',
    'a/../../b',
    '__proto__',
  ]) {
    assert.throws(() => models.find(name), { code: 'model-unknown' }, name);
    await assert.rejects(models.directoryOf(name, signal), { code: 'model-unknown' }, name);
  }
});

/** A record of more small files than there are. */
function recorded(directory: string): void {
  const file = (name: string) => [name, { size: 9, hash: `sha256:${'0'.repeat(64)}` }];
  const names = ['config.json', 'tokenizer.json', 'generation_config.json', 'model.safetensors'];
  mkdirSync(path.join(directory, '.exo'));
  const about = { version: 1, repository: 'someone/tiny', revision: 'main', commit: 'c'.repeat(40) };
  const record = { ...about, files: Object.fromEntries(names.map(file)) };
  writeFileSync(path.join(directory, '.exo', 'record.json'), JSON.stringify(record));
}

test('a model that lacks a small file is used without it when the hub is away, which is asked once in a while', async (t) => {
  let asked = 0;
  const { models, write, clock } = shelf(t, false, async () => {
    asked += 1;
    throw new ExoError('hub-unreachable', 'away', { retryable: true });
  });
  const directory = await write('someone--tiny');
  recorded(directory);
  await assert.rejects(models.learn('someone/tiny', signal, true), { code: 'hub-unreachable' });
  await assert.rejects(models.learn('someone/tiny', signal, true), { code: 'hub-unreachable' });
  assert.equal(asked, 1, 'without a tokenizer it is refused, and the hub is not asked each time');
  writeFileSync(path.join(directory, 'tokenizer.json'), '{}');
  await models.filesCame('someone/tiny');
  for (let count = 0; count < 5; count += 1) await models.learn('someone/tiny', signal, true);
  assert.equal(asked, 1);
  await clock.advance(LIMITS.modelsLookEveryMs);
  for (let count = 0; count < 5; count += 1) await models.learn('someone/tiny', signal, true);
  assert.equal(asked, 2);
});

test('a model that lacks a small file waits only a moment for a hub that does not answer', async (t) => {
  let asked = 0;
  const { models, write, clock } = shelf(t, false, () => {
    asked += 1;
    return new Promise(() => undefined);
  });
  const directory = await write('someone--tiny');
  recorded(directory);
  writeFileSync(path.join(directory, 'tokenizer.json'), '{}');
  await models.refresh();
  const learnt = models.learn('someone/tiny', signal, true);
  while (asked === 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(LIMITS.modelsLookEveryMs);
  await learnt;
  await models.learn('someone/tiny', signal, true);
  assert.equal(asked, 1);
});
