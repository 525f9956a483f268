import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { LIMITS } from '../../src/shared/index.js';
import { assignShards, partitionRing } from '../../src/topology/index.js';
import { roundTo5Places } from '../../src/topology/partition.js';
import { promise } from '../support/promise.js';
import fc from '../support/properties.js';
import { propertyRuns } from '../support/scale.js';
import { capabilities } from './gossip-mesh.js';

interface Vectors {
  readonly rounded: ReadonlyArray<readonly [number, number]>;
  readonly cases: ReadonlyArray<{
    readonly memory: Readonly<Record<string, number>>;
    readonly layers: number;
    readonly partitions: ReadonlyArray<readonly [string, number, number]>;
    readonly shards: ReadonlyArray<readonly [number, number]>;
    /** The original's rule gives every partition a shard within the model. */
    readonly whole: boolean;
  }>;
}

/** Made once by a Python program from the rule as written down, without a look at this code. */
const VECTORS = JSON.parse(
  readFileSync(new URL('./partition-vectors.json', import.meta.url), 'utf8'),
) as Vectors;
const RUNS = propertyRuns(2_000);

function ring(memory: Readonly<Record<string, number>>) {
  return partitionRing(new Map(Object.entries(memory).map(([id, mb]) => [id, capabilities(mb)])));
}

function layers(memory: Readonly<Record<string, number>>, nLayers: number) {
  return assignShards(ring(memory), 'm', nLayers).map(({ nodeId, shard }) => [
    nodeId,
    shard.startLayer,
    shard.endLayer,
  ]);
}

describe('partition', () => {
  it('gives the fractions and layers of the original', () => {
    assert.deepEqual(ring({ a: 3000, b: 1000, c: 6000 }), [
      { nodeId: 'c', start: 0, end: 0.6 },
      { nodeId: 'a', start: 0.6, end: 0.9 },
      { nodeId: 'b', start: 0.9, end: 1 },
    ]);
    assert.deepEqual(layers({ a: 3000, b: 1000, c: 6000 }, 32), [
      ['c', 0, 18],
      ['a', 19, 27],
      ['b', 28, 31],
    ]);
    assert.deepEqual(layers({ a: 1, b: 1 }, 8), [
      ['b', 0, 3],
      ['a', 4, 7],
    ]);
    assert.deepEqual(layers({ a: 5, b: 5, c: 5 }, 32), [
      ['c', 0, 9],
      ['b', 10, 20],
      ['a', 21, 31],
    ]);
  });

  it('rounds as Python does', () => {
    for (const [value, rounded] of VECTORS.rounded) assert.equal(roundTo5Places(value), rounded, `${value}`);
  });

  it(`equals ${VECTORS.cases.length} cases computed in Python`, () => {
    for (const { memory, layers: nLayers, partitions, shards, whole } of VECTORS.cases) {
      const ours = ring(memory);
      assert.deepEqual(
        ours.map(({ nodeId, start, end }) => [nodeId, start, end]),
        partitions,
      );
      const assigned = assignShards(ours, 'm', nLayers);
      assert.deepEqual(
        assigned.map(({ shard }) => [shard.startLayer, shard.endLayer]),
        shards,
      );
      if (whole) assert.equal(assigned.length, partitions.length);
      for (const [index, { nodeId }] of assigned.entries()) assert.equal(nodeId, partitions[index]![0]);
    }
    assert.ok(
      VECTORS.cases.filter((vector) => !vector.whole).length >= 20,
      'crashes of the original are among them',
    );
  });

  it('drops the smallest nodes where the original crashes', () => {
    assert.deepEqual(layers({ a: 1000, b: 10, c: 10 }, 8), [
      ['a', 0, 6],
      ['c', 7, 7],
    ]);
  });

  it('takes all memories 0, or unusable ones, as equal weights', () => {
    assert.deepEqual(layers({ a: 0, b: 0 }, 8), [
      ['b', 0, 3],
      ['a', 4, 7],
    ]);
    assert.deepEqual(layers({ a: Number.NaN, b: -5, c: 100 }, 8), [['c', 0, 7]]);
  });

  it('counts an absurd memory as the largest that is plausible: no sum overflows, and the others hold layers', () => {
    const partitions = ring({ a: 1e308, b: 1e308, c: LIMITS.memoryMbMax });
    assert.deepEqual(
      partitions.map(({ end }) => end),
      [0.33333, 0.66666, 0.99999],
    );
  });

  it('gives one node everything, and nobody nothing', () => {
    assert.deepEqual(layers({ a: 7 }, 1), [['a', 0, 0]]);
    assert.deepEqual(layers({}, 8), []);
    assert.throws(() => layers({ a: 1 }, 0), { code: 'ring-incomplete' });
  });

  it('is contiguous and complete for any nodes and layers, whatever the order of the nodes', (t) => {
    const nodes = fc.dictionary(
      fc.string({ minLength: 1, maxLength: 6 }),
      fc.oneof(
        fc.integer({ min: 0, max: 2_000_000 }),
        fc.constantFrom(0, 1, 8192, 16384),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
      ),
      { minKeys: 1, maxKeys: 40 },
    );
    fc.assert(
      fc.property(nodes, fc.integer({ min: 1, max: 130 }), (memory, nLayers) => {
        const partitions = ring(memory);
        const shards = assignShards(partitions, 'm', nLayers);
        let next = 0;
        for (const [index, { nodeId, shard }] of shards.entries()) {
          assert.equal(nodeId, partitions[index]!.nodeId);
          assert.equal(shard.startLayer, next);
          assert.ok(shard.endLayer >= shard.startLayer);
          assert.equal(shard.nLayers, nLayers);
          next = shard.endLayer + 1;
        }
        assert.equal(next, nLayers);
        assert.ok(shards.length <= nLayers);
        const reversed = Object.fromEntries(Object.entries(memory).reverse());
        assert.deepEqual(ring(reversed), partitions);
      }),
      { numRuns: RUNS },
    );
    promise(t, 'I3', `${RUNS} cases contiguous and complete (capacities come with the planner)`);
  });

  it('stays within the model where rounding carries the fractions past 1', () => {
    // 1/600 rounds up to 0.00167 each time, so the fractions of 600 equal nodes end at 1.002.
    const memory = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`n${i}`, 1]));
    const partitions = ring(memory);
    assert.ok(partitions.at(-1)!.start * 4000 > 4000);
    const shards = assignShards(partitions, 'm', 4000);
    assert.equal(shards.at(-1)!.shard.endLayer, 3999);
    assert.ok(shards.every(({ shard }) => shard.startLayer < 4000 && shard.endLayer < 4000));
  });
});
