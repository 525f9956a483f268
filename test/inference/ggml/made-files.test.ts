/** Quantised weights that are kept: the same numbers from the file as from the source, and never those of another source. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { type Device, openDevice } from '../../../src/inference/engines/ggml/library/index.js';
import { relativeError, WideModel } from './wide-model.js';

const MIB = 1024 * 1024;
/** Of the random weights. */
const SEED = 4;
const NO_PROCESS = 2 ** 22 + 1;

let device: Device;
let model: WideModel;
before(async () => {
  device = await openDevice({ device: 'cpu', threads: 2, quiet: true });
});
beforeEach(async () => {
  model?.remove();
  model = new WideModel();
  await model.write(SEED, 'BF16');
});
after(() => {
  model.remove();
  device.close();
});

const files = () => readdirSync(model.made).sort();
const inodes = () => files().map((name) => statSync(path.join(model.made, name)).ino);

for (const quantisation of ['q8_0', 'q4_0', 'q4_k'] as const) {
  test(`weights kept as ${quantisation} are made once and give the same logits as those made each time`, async () => {
    const expected = await model.logits(device, quantisation);
    assert.deepEqual(await model.logits(device, quantisation, 64 * MIB), expected);
    // Two layers and the head.
    assert.equal(files().length, 3);
    const before = inodes();
    assert.deepEqual(await model.logits(device, quantisation, 64 * MIB), expected);
    assert.deepEqual(inodes(), before);
  });
}

test('other weights in a file of the same name, size and time are not taken for the old ones', async () => {
  const source = path.join(model.checkpoint, 'model.safetensors');
  const { atime, mtime } = statSync(source);
  const old = await model.logits(device, 'q8_0', 64 * MIB);
  await model.write(SEED + 1, 'BF16');
  utimesSync(source, atime, mtime);
  const expected = await model.logits(device, 'q8_0');
  assert.deepEqual(await model.logits(device, 'q8_0', 64 * MIB), expected);
  assert.ok(relativeError(old, expected) > 0.5);
});

test('a file that is damaged, cut short or not one of these is made again', async () => {
  const expected = await model.logits(device, 'q4_k', 64 * MIB);
  const [first, second, third] = files().map((name) => path.join(model.made, name));
  const bytes = readFileSync(first!);
  // In the middle, where no row is made anew for comparison.
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(first!, bytes);
  truncateSync(second!, statSync(second!).size - 1);
  writeFileSync(third!, 'something else');
  assert.deepEqual(await model.logits(device, 'q4_k', 64 * MIB), expected);
  assert.ok(readFileSync(third!).length > 10_000);
  assert.notDeepEqual(readFileSync(first!), bytes);
});

test('what processes that were killed have left is removed, and what others write is not', async () => {
  await model.logits(device, 'q8_0', 64 * MIB);
  const name = files()[0]!;
  const [dead, alive] = [NO_PROCESS, process.pid].map((pid) =>
    path.join(model.made, `${name}.${pid}-9.part`),
  );
  writeFileSync(dead!, 'half');
  writeFileSync(alive!, 'half');
  await model.logits(device, 'q4_0', 64 * MIB);
  assert.ok(!files().includes(path.basename(dead!)) && files().includes(path.basename(alive!)));
});

test('files stay within their bound, and where they have no room weights are made each time', async () => {
  const expected = await model.logits(device, 'q8_0');
  const total = () => files().reduce((sum, name) => sum + statSync(path.join(model.made, name)).size, 0);
  for (const quantisation of ['q4_0', 'q8_0', 'q4_k', 'q8_0'] as const) {
    await model.logits(device, quantisation, MIB);
    assert.ok(total() <= MIB, `${total()} bytes`);
  }
  assert.deepEqual(await model.logits(device, 'q8_0', MIB), expected);
  const none = new WideModel();
  await none.write(SEED, 'BF16');
  // A file where the folder should be.
  writeFileSync(none.made, '');
  assert.deepEqual(await none.logits(device, 'q8_0', 64 * MIB), expected);
  none.remove();
});
