import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BoundedMap } from '../../src/shared/index.js';

describe('bounded map', () => {
  it('lets what was set longest ago make room', () => {
    const map = new BoundedMap<string, number>(3);
    for (const [index, key] of ['a', 'b', 'c', 'd', 'e'].entries()) map.set(key, index);
    assert.deepEqual(
      [...map],
      [
        ['c', 2],
        ['d', 3],
        ['e', 4],
      ],
    );
  });

  it('keeps what is set again, and nothing makes room for it', () => {
    const map = new BoundedMap<string, number>(3);
    map.set('a', 1).set('b', 2).set('c', 3).set('a', 4);
    assert.deepEqual([...map.keys()], ['b', 'c', 'a']);
    map.set('d', 5);
    assert.deepEqual([...map.keys()], ['c', 'a', 'd']);
    assert.equal(map.get('a'), 4);
  });

  it('keeps what is only read in its place', () => {
    const map = new BoundedMap<string, number>(2);
    map.set('a', 1).set('b', 2);
    assert.equal(map.get('a'), 1);
    map.set('c', 3);
    assert.deepEqual([...map.keys()], ['b', 'c']);
  });

  it('never holds more, however it is used', () => {
    const map = new BoundedMap<number, undefined>(16);
    for (let key = 0; key < 10_000; key += 1) {
      map.set((key * 7_919) % 101, undefined);
      assert.ok(map.size <= 16);
      if (key % 5 === 0) map.delete((key * 31) % 101);
    }
  });
});
