/** How fast files came: of all requests to one kind of source together, and of what is large enough to tell. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FetchRates } from '../../src/models/download/fetch-rates.js';
import { VirtualClock } from '../../src/shared/index.js';

const MIB = 1024 * 1024;

test('fetch rate is that of all requests at once, hub and peers apart', async () => {
  const clock = new VirtualClock();
  const rates = new FetchRates({ clock });
  assert.deepEqual([rates.of('hub'), rates.of('peers')], [null, null]);
  const one = rates.begin('hub');
  const two = rates.begin('hub');
  await clock.advance(1_000);
  one.came(MIB);
  one.end();
  assert.equal(rates.of('hub'), null, 'the other one is under way');
  two.came(MIB);
  two.end();
  two.end();
  assert.deepEqual([rates.of('hub'), rates.of('peers')], [2 * MIB, null]);
});

test('fetch rate leaves pauses out, and takes the last of what came', async () => {
  const clock = new VirtualClock();
  const rates = new FetchRates({ clock });
  const fetch = async (bytes: number, ms: number) => {
    const watch = rates.begin('peers');
    await clock.advance(ms);
    watch.came(bytes);
    watch.end();
  };
  await fetch(MIB / 2, 250);
  assert.equal(rates.of('peers'), null, 'too little to tell');
  await clock.advance(60_000);
  await fetch(MIB / 2, 250);
  assert.equal(rates.of('peers'), 2 * MIB);
  await fetch(MIB, 100);
  assert.equal(rates.of('peers'), 10 * MIB);
});

test('fetch rate of a long download is told while it runs, and falls with it', async () => {
  const clock = new VirtualClock();
  const rates = new FetchRates({ clock });
  const watch = rates.begin('hub');
  const seconds = async (count: number, bytes: number) => {
    for (let second = 0; second < count; second += 1) {
      await clock.advance(1_000);
      watch.came(bytes);
    }
  };
  await seconds(5, 4 * MIB);
  assert.equal(rates.of('hub'), 4 * MIB);
  await seconds(5, 50_000);
  assert.equal(rates.of('hub'), 50_000);
  watch.end();
  assert.equal(rates.of('hub'), 50_000);
});
