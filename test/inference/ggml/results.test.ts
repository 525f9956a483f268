/** Large results in memory that two ends share: what is put is what is read, places do not overlap, and the memory is given back once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResultPlaces } from '../../../src/inference/engines/ggml/child/result-places.js';
import { EngineProcess } from '../../../src/inference/engines/ggml/process/engine-process.js';
import { RESULT_BYTES_MIN, ResultFile } from '../../../src/inference/engines/ggml/process/result-file.js';
import { LIMITS, seededRandom, systemClock } from '../../../src/shared/index.js';

const skip = process.platform === 'win32' ? 'no files without names' : false;

test('results of many requests are read as they were put, while others come and go', { skip }, () => {
  const file = ResultFile.open()!;
  const places = ResultPlaces.open(file.fd)!;
  const random = seededRandom(3);
  const live = new Map<string, { place: { offset: number; bytes: number }; values: Float32Array }>();
  for (let step = 0; step < 400; step += 1) {
    const id = `r${Math.floor(random.next() * 24)}`;
    if (random.next() < 0.2) {
      places.release(id);
      live.delete(id);
      continue;
    }
    const count = RESULT_BYTES_MIN / 4 + Math.floor(random.next() * 200_000);
    const values = new Float32Array(count).fill(step);
    const place = places.put(id, values);
    live.delete(id);
    if (place !== undefined) live.set(id, { place, values });
    for (const [other, { place: where, values: expected }] of live) {
      const bytes = file.read(where);
      const read = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      assert.equal(read.length, expected.length);
      assert.ok(read[0] === expected[0] && read.at(-1) === expected[0], `step ${step}: ${other}`);
    }
  }
  file.close();
});

test('a buffer that was given back gets the next result of its size, once', { skip }, () => {
  const file = ResultFile.open()!;
  const places = ResultPlaces.open(file.fd)!;
  const put = (id: string, value: number, count = RESULT_BYTES_MIN / 4) =>
    places.put(id, new Float32Array(count).fill(value))!;
  const [a, b] = [put('a', 1), put('b', 2)];
  const first = file.read(a);
  const kept = file.read(b);
  file.giveBack(first);
  file.giveBack(first);
  file.giveBack(Buffer.alloc(first.length));
  const second = file.read(b);
  assert.equal(second, first);
  assert.equal(second.readFloatLE(0), 2);
  const third = file.read(a);
  assert.ok(third !== first && third !== kept && third.readFloatLE(0) === 1);
  // Of another model: none of the old size is left over.
  file.giveBack(third);
  const larger = file.read(put('c', 3, RESULT_BYTES_MIN));
  assert.equal(larger.length, RESULT_BYTES_MIN * 4);
  file.giveBack(larger);
  assert.notEqual(file.read(a), third);
  assert.equal(kept.readFloatLE(0), 2);
  file.close();
});

test('a result that is small or has no room goes another way', { skip }, () => {
  const file = ResultFile.open()!;
  const places = ResultPlaces.open(file.fd)!;
  assert.equal(places.put('small', new Float32Array(RESULT_BYTES_MIN / 4 - 1)), undefined);
  assert.equal(places.put('huge', new Float32Array(LIMITS.engineResultBytes / 4 + 1)), undefined);
  const half = new Float32Array(LIMITS.engineResultBytes / 8);
  assert.deepEqual(places.put('a', half), { offset: 0, bytes: half.byteLength });
  assert.equal(places.put('b', half)?.offset, half.byteLength);
  assert.equal(places.put('c', half), undefined);
  places.release('a');
  assert.equal(places.put('c', half)?.offset, 0);
  file.close();
});

test('a process that cannot be started closes its results once', { skip }, async () => {
  const { execPath } = process;
  process.execPath = '/nowhere/node';
  try {
    const engine = new EngineProcess({ clock: systemClock });
    const closed: unknown[] = [];
    const onFault = (error: unknown) => closed.push(error);
    process.on('uncaughtException', onFault);
    try {
      assert.equal((await engine.ended).code, 'engine-failed');
      // The child's `close` comes after its `error`, in a turn of its own.
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('uncaughtException', onFault);
    }
    assert.deepEqual(closed, []);
    await assert.rejects(engine.ask({ op: 'load', shardKey: 'none', source: {} as never }), {
      code: 'engine-failed',
    });
  } finally {
    process.execPath = execPath;
  }
});
