/** Memory that is not there: said before anything is loaded or swapped, and what has no owner makes room. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CachePool } from '../../../src/inference/engines/ggml/cache/cache-pool.js';
import { Shards } from '../../../src/inference/engines/ggml/child/shards.js';
import { type Device, openDevice, TYPE } from '../../../src/inference/engines/ggml/library/index.js';
import { VirtualClock } from '../../../src/shared/index.js';
import { TINY_MODELS, tinyModel } from './tiny-models.js';

const SHAPE = { layers: 2, rowElements: 32, type: TYPE.F32, elementBytes: 4 } as const;
/** Of one cache of 256 positions. */
const CACHE_BYTES = 2 * 2 * 32 * 4 * 256;
const GIB = 1024 ** 3;

let device: Device;
before(async () => {
  device = await openDevice({ device: 'cpu', threads: 1, quiet: true });
});
after(() => device.close());

function makePool(caches: number, clock = new VirtualClock(), freeBytes = () => GIB): CachePool {
  // An eighth is kept for requests that grow.
  const options = { cacheBytesMax: (caches * CACHE_BYTES * 8) / 7, abandonedAfterMs: 1_000 };
  return new CachePool(options, { device, clock, freeBytes });
}

test('weights that need more than is free are refused before they are loaded, with both numbers', async () => {
  const model = tinyModel(TINY_MODELS[0]!);
  const { architecture, tensors, layers } = model;
  let free = 0.1 * GIB;
  const shards = new Shards(
    { shardsMax: 2, cacheType: 'auto', quantisation: 'none' },
    { device, pool: makePool(1), freeBytes: () => free, drained: async () => undefined },
  );
  const source = { architecture, tensors, startLayer: 0, endLayer: layers - 1 };
  await assert.rejects(shards.load('s', source), (error: { code?: string; message?: string }) => {
    assert.equal(error.code, 'out-of-memory');
    assert.match(error.message!, /need 0\.3 GiB.* 0\.1 GiB are free/);
    return true;
  });
  assert.equal(shards.get('s'), undefined);
  free = GIB;
  await shards.load('s', source);
  shards.get('s')!.close();
  model.remove();
});

test('a new request takes no room from a live one, and takes it from one without an owner', async () => {
  const clock = new VirtualClock();
  const pool = makePool(2, clock);
  pool.open('a', 's', SHAPE, 1);
  const owned = pool.open('b', 's', SHAPE, 256);
  assert.throws(() => pool.open('c', 's', SHAPE, 1), { code: 'overloaded', retryable: true });
  await clock.advance(999);
  pool.hold(owned);
  pool.letGo(owned);
  await clock.advance(1);
  pool.open('c', 's', SHAPE, 1);
  assert.equal(pool.find('a', 's'), undefined);
  assert.ok(pool.find('b', 's') && pool.find('c', 's'));
  pool.close();
  assert.equal(pool.bytes, 0);
});

test('a cache in use is freed when its step has ended, and none is made where the machine would swap', () => {
  const pool = makePool(2);
  const cache = pool.open('a', 's', SHAPE, 1);
  pool.hold(cache);
  pool.release('a');
  assert.equal(pool.bytes, CACHE_BYTES);
  // The request begins anew while its last step still computes.
  assert.equal(pool.find('a', 's'), undefined);
  const anew = pool.open('a', 's', SHAPE, 1);
  pool.letGo(cache);
  assert.equal(pool.bytes, CACHE_BYTES);
  assert.equal(pool.find('a', 's'), anew);
  pool.close();
  assert.equal(pool.bytes, 0);
  const full = makePool(2, new VirtualClock(), () => CACHE_BYTES);
  assert.throws(() => full.open('a', 's', SHAPE, 1), { code: 'out-of-memory', retryable: true });
  assert.equal(full.bytes, 0);
});

test('a cache that is about to be used is not abandoned, however long ago it was used', async () => {
  const clock = new VirtualClock();
  const pool = makePool(2, clock);
  const cache = pool.open('a', 's', SHAPE, 256);
  await clock.advance(2_000);
  assert.equal(pool.find('a', 's'), cache);
  pool.open('b', 's', SHAPE, 256);
  assert.throws(() => pool.open('c', 's', SHAPE, 1), { code: 'overloaded' });
  assert.equal(pool.find('a', 's'), cache);
  assert.equal(cache.capacity, 256);
  pool.close();
});

test('a cache grows by doubling within the budget, and by what is needed at its end', () => {
  const pool = makePool(4);
  const cache = pool.open('a', 's', SHAPE, 256);
  pool.extend(cache, 257);
  assert.equal(cache.capacity, 512);
  pool.extend(cache, 513);
  assert.equal(cache.capacity, 1024);
  assert.throws(() => pool.extend(cache, 1025), { code: 'overloaded' });
  assert.equal(cache.capacity, 1024);
  pool.close();
});
