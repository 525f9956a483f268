import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomInt, randomUuid, seededRandom, systemRandom } from '../../src/shared/index.js';

describe('seeded random', () => {
  it('gives the same sequence for the same seed, on every machine', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return [random.next(), random.next(), random.bytes(4).toString('hex'), randomUuid(random)];
    };
    assert.deepEqual(draw(42), draw(42));
    assert.notDeepEqual(draw(42), draw(43));
    assert.equal(seededRandom(1).bytes(8).toString('hex'), 'a00087fbf7479cb8');
  });

  it('is uniform in [0, 1)', () => {
    const random = seededRandom(2);
    let sum = 0;
    for (let count = 0; count < 10_000; count += 1) {
      const value = random.next();
      assert.ok(value >= 0 && value < 1);
      sum += value;
    }
    assert.ok(Math.abs(sum / 10_000 - 0.5) < 0.02);
  });
});

for (const [name, random] of [
  ['seeded', seededRandom(3)],
  ['system', systemRandom],
] as const) {
  describe(`${name} random`, () => {
    it('draws whole numbers with both bounds included', () => {
      const drawn = new Set(Array.from({ length: 500 }, () => randomInt(random, -1, 2)));
      assert.deepEqual(
        [...drawn].sort((a, b) => a - b),
        [-1, 0, 1, 2],
      );
    });

    it('makes version 4 UUIDs, all different', () => {
      const ids = Array.from({ length: 100 }, () => randomUuid(random));
      for (const id of ids) {
        assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      }
      assert.equal(new Set(ids).size, 100);
    });
  });
}
