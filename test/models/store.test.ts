/** Models on disk: what is seen of them, what is removed and what never is. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { resolveReference } from '../../src/models/catalogue/catalogue.js';
import { takeLock } from '../../src/models/disk/lock.js';
import { downloadModel } from '../../src/models/download/download.js';
import type { LayerRange } from '../../src/models/download/plan.js';
import { Hub } from '../../src/models/hub/hub.js';
import { modelPlaces } from '../../src/models/store/places.js';
import { ModelStore } from '../../src/models/store/store.js';
import { systemClock, systemRandom } from '../../src/shared/index.js';
import { startHub } from '../support/fetching.js';

import { shardedModel, singleFileModel } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import '../support/leaks.js';

const REPOSITORY = 'mesh/tiny';
const components = { clock: systemClock, random: systemRandom };
const never = new AbortController().signal;
let cleanup: Cleanup;
let folder: string;
let own: string;
let store: ModelStore;

beforeEach(() => {
  cleanup = new Cleanup();
  folder = cleanup.folder();
  own = path.join(folder, 'home', 'models');
  const env = { EXO_MODELS_READ_ONLY_DIRS: path.join(folder, 'shared') };
  store = new ModelStore(
    { places: modelPlaces({ home: path.join(folder, 'home'), env, userHome: folder }) },
    components,
  );
});
afterEach(() => cleanup.dispose());

function write(directory: string, files: Readonly<Record<string, Buffer | string>>): string {
  mkdirSync(directory, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(directory, name), bytes);
  return directory;
}

async function pull(files: Readonly<Record<string, Buffer | string>>, shard?: LayerRange): Promise<string> {
  const hub = await startHub(cleanup);
  hub.put(REPOSITORY, files);
  const directory = await store.targetOf(REPOSITORY);
  await downloadModel(
    { repository: REPOSITORY, directory, parallelMax: 4, ...(shard === undefined ? {} : { shard }) },
    { hub: new Hub({ endpoint: hub.endpoint }, components), ...components },
    never,
  );
  return directory;
}

test('places: named folders first, then the home, those of the original last and only to be read', () => {
  const env = { EXO_MODELS_DIRS: ['/a', '/b'].join(path.delimiter), EXO_MODELS_READ_ONLY_DIRS: '/c' };
  const places = modelPlaces({ home: '/home/u/.exo', env, userHome: '/home/u', seedDir: '/seed' });
  assert.deepEqual(
    places.map((place) => `${place.isWritable ? 'rw' : 'ro'} ${place.path}`),
    [
      'rw /a',
      'rw /b',
      'rw /home/u/.exo/models',
      'ro /c',
      'ro /seed',
      'ro /home/u/.exo/downloads',
      'ro /home/u/.cache/exo/downloads',
      'ro /home/u/.cache/huggingface/hub',
    ],
  );
});

test('a model in the cache of the hub’s own tools is used where it is, and not removed', async () => {
  const commit = 'a1'.repeat(20);
  const cache = path.join(folder, '.cache/huggingface/hub/models--mesh--tiny');
  const blobs = write(path.join(cache, 'blobs'), singleFileModel(3, 1_000));
  const snapshot = path.join(cache, 'snapshots', commit);
  mkdirSync(snapshot, { recursive: true });
  for (const name of readdirSync(blobs)) symlinkSync(path.join(blobs, name), path.join(snapshot, name));
  mkdirSync(path.join(cache, 'refs'));
  writeFileSync(path.join(cache, 'refs', 'main'), `${commit}\n`);
  const [model, ...more] = await store.list(never);
  assert.equal(more.length, 0);
  assert.equal(model?.directory, snapshot);
  assert.ok(model.survey.has());
  await assert.rejects(store.remove(REPOSITORY), { code: 'model-absent', message: /remove it yourself/ });
  assert.ok((await store.find(REPOSITORY, never))[0]?.survey.has());
});

test('a model of the original is found where that one keeps it, without a record of ours', async () => {
  const directory = write(path.join(folder, '.cache/exo/downloads/mesh--tiny'), singleFileModel(3, 1_000));
  const [model, ...more] = await store.list(never);
  assert.equal(more.length, 0);
  assert.equal(model?.repository, REPOSITORY);
  assert.equal(model.record, undefined);
  assert.ok(model.survey.has());
  assert.deepEqual(model.survey.presentLayers, [[0, 2]]);
  assert.equal(await store.directoryOf(resolveReference(REPOSITORY), undefined, never), directory);
});

test('which layers are there is told by the files: some files of an index, ranges of one file', async () => {
  const files = shardedModel(12, 4, 2_000);
  const { 'model-00001-of-00003.safetensors': _first, ...rest } = files;
  write(path.join(own, 'mesh--tiny'), rest);
  const [some] = await store.find(REPOSITORY, never);
  assert.deepEqual(some?.survey.presentLayers, [[4, 11]]);
  assert.ok(!some.survey.has());
  assert.ok(some.survey.has({ startLayer: 4, endLayer: 11, layers: 12 }));
  assert.ok(!some.survey.has({ startLayer: 3, endLayer: 11, layers: 12 }));
  await assert.rejects(store.directoryOf(resolveReference(REPOSITORY), undefined, never), {
    code: 'model-absent',
    message: /exo model pull mesh\/tiny/,
  });
});

test('of a partial file what is needed for a shard is there: embedding and head belong to the ends', async () => {
  await pull(singleFileModel(6, 400_000), { startLayer: 4, endLayer: 5, layers: 6 });
  const [model] = await store.find(REPOSITORY, never);
  assert.deepEqual(model?.survey.presentLayers, [[4, 5]]);
  assert.ok(model.survey.has({ startLayer: 5, endLayer: 5, layers: 6 }));
  assert.ok(!model.survey.has({ startLayer: 0, endLayer: 0, layers: 6 }));
  assert.ok(model.survey.bytes < 6 * 800_000 * 0.6, String(model.survey.bytes));
});

test('a file of weights that is cut off is damaged, not there', async () => {
  const directory = write(path.join(own, 'mesh--tiny'), singleFileModel(3, 1_000));
  truncateSync(path.join(directory, 'model.safetensors'), 3_000);
  const [model] = await store.find(REPOSITORY, never);
  assert.ok(!model!.survey.has());
  assert.equal(model!.survey.damaged[0]?.file, 'model.safetensors');
});

test('remove takes the folder and nothing else; in use it is refused; read-only places are left', async () => {
  const directory = await pull(singleFileModel(2, 100_000));
  const other = write(path.join(own, 'mesh--other'), singleFileModel(2, 1_000));
  const shared = write(path.join(folder, 'shared/mesh--tiny'), singleFileModel(2, 1_000));
  const lock = await takeLock(path.join(directory, '.exo'), 'model.safetensors', components, never);
  await assert.rejects(store.remove(REPOSITORY), { code: 'model-in-use' });
  await lock.release();
  const removed = await store.remove(REPOSITORY);
  assert.deepEqual(removed.directories, [directory]);
  assert.deepEqual(removed.kept, [shared]);
  assert.ok(removed.bytes > 400_000);
  assert.deepEqual(readdirSync(own), ['mesh--other']);
  assert.ok(existsSync(path.join(other, 'config.json')) && existsSync(path.join(shared, 'config.json')));
  await assert.rejects(store.remove(REPOSITORY), { code: 'model-absent', message: /remove it yourself/ });
  await assert.rejects(store.remove('mesh/none'), { code: 'model-absent', message: /exo model list/ });
});

test('remove of a link removes the link: what it leads to stays, as does what links inside a model lead to', async () => {
  const elsewhere = write(path.join(folder, 'elsewhere'), singleFileModel(2, 1_000));
  mkdirSync(own, { recursive: true });
  symlinkSync(elsewhere, path.join(own, 'mesh--linked'));
  await store.remove('mesh/linked');
  assert.ok(!existsSync(path.join(own, 'mesh--linked')));
  assert.ok(existsSync(path.join(elsewhere, 'model.safetensors')));
  const inner = write(path.join(own, 'mesh--inner'), { 'config.json': '{}' });
  symlinkSync(elsewhere, path.join(inner, 'weights'));
  symlinkSync(path.join(elsewhere, 'model.safetensors'), path.join(inner, 'model.safetensors'));
  await store.remove('mesh/inner');
  assert.deepEqual(readdirSync(own), []);
  assert.ok(existsSync(path.join(elsewhere, 'model.safetensors')));
});

test('through a link a model is used and never written: no download, no record', async () => {
  const elsewhere = write(path.join(folder, 'elsewhere'), singleFileModel(2, 1_000));
  mkdirSync(own, { recursive: true });
  symlinkSync(elsewhere, path.join(own, 'mesh--tiny'));
  const [model] = await store.find(REPOSITORY, never);
  assert.ok(model!.isLink && model!.survey.has());
  await store.verify(model!, never);
  assert.deepEqual(readdirSync(elsewhere).sort(), Object.keys(singleFileModel(2, 1_000)).sort());
  await assert.rejects(store.targetOf(REPOSITORY), { code: 'state-unwritable', message: /is a link/ });
});

test('verify finds a byte that is another although length and time are the same, and the next pull mends it', async () => {
  const files = singleFileModel(2, 300_000);
  const directory = await pull(files);
  const [model] = await store.find(REPOSITORY, never);
  const right = await store.verify(model!, never);
  assert.deepEqual([...new Set(right.map(({ state }) => state))], ['right']);
  const file = path.join(directory, 'model.safetensors');
  const { utimesSync, statSync } = await import('node:fs');
  const { atime, mtime } = statSync(file);
  const bytes = readFileSync(file);
  bytes[200_000] = bytes[200_000]! ^ 1;
  writeFileSync(file, bytes);
  utimesSync(file, atime, mtime);
  const found = await store.verify(model!, never);
  assert.deepEqual(
    found.filter(({ state }) => state !== 'right').map((each) => [each.path, each.state]),
    [['model.safetensors', 'damaged']],
  );
  await pull(files);
  assert.deepEqual(readFileSync(file), files['model.safetensors']);
});

test('verify of a shard: ranges by their digests', async () => {
  const directory = await pull(singleFileModel(6, 400_000), { startLayer: 1, endLayer: 2, layers: 6 });
  const [model] = await store.find(REPOSITORY, never);
  const stateOf = async () =>
    (await store.verify(model!, never)).find((each) => each.path === 'model.safetensors')?.state;
  assert.equal(await stateOf(), 'partial');
  const file = path.join(directory, 'model.safetensors.partial');
  const bytes = readFileSync(file);
  const at = bytes.findIndex((byte, index) => index > 70_000 && byte !== 0);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
  assert.equal(await stateOf(), 'damaged');
});

test('seeds are moved in, under the names of either program; what is there already stays', async () => {
  const seeds = path.join(folder, 'seeds');
  write(path.join(seeds, 'mesh--tiny'), singleFileModel(2, 1_000));
  write(path.join(seeds, 'models--mesh--older'), singleFileModel(2, 1_000));
  write(path.join(seeds, 'mesh--there'), singleFileModel(2, 1_000));
  write(path.join(seeds, 'notes'), { 'a.txt': 'a' });
  const first = new ModelStore(
    { places: [{ path: path.join(folder, 'new'), isWritable: true }] },
    components,
  );
  assert.deepEqual(await first.adopt(path.join(folder, 'none')), []);
  write(path.join(own, 'mesh--there'), { 'config.json': '{"num_hidden_layers":1}' });
  assert.deepEqual((await store.adopt(seeds)).sort(), ['mesh/older', 'mesh/tiny']);
  assert.deepEqual(await first.adopt(seeds), ['mesh/there'], 'the place is made where it is missing');
  write(path.join(seeds, 'mesh--there'), singleFileModel(2, 1_000));
  assert.deepEqual(readdirSync(own).sort(), ['mesh--older', 'mesh--there', 'mesh--tiny']);
  assert.deepEqual(readdirSync(seeds).sort(), ['mesh--there', 'notes']);
});

test('a folder is looked into again when a file there changes, and only then', async () => {
  const directory = write(path.join(own, 'mesh--tiny'), singleFileModel(2, 1_000));
  const first = await store.find(REPOSITORY, never);
  assert.equal(first[0]!.survey.has(), true);
  const again = await store.find(REPOSITORY, never);
  assert.equal(again[0]!.survey, first[0]!.survey);
  truncateSync(path.join(directory, 'model.safetensors'), 500);
  const cut = await store.find(REPOSITORY, never);
  assert.equal(cut[0]!.survey.damaged.length, 1);
  write(directory, singleFileModel(3, 1_000));
  const longer = await store.find(REPOSITORY, never);
  assert.equal(longer[0]!.survey.layers, 3);
  assert.equal(longer[0]!.survey.has(), true);
});
