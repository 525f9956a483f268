import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SlabAllocator } from '../../src/protocol/slab.js';

describe('slabs', () => {
  it('give pieces that do not overlap, aligned to 8 bytes, of exactly the length asked for', () => {
    const slabs = new SlabAllocator();
    const pieces = [1, 7, 8, 9, 4096, 20_000, 0].map((length) => slabs.take(length));
    assert.deepEqual(
      pieces.map(({ length }) => length),
      [1, 7, 8, 9, 4096, 20_000, 0],
    );
    for (const [index, piece] of pieces.entries()) piece.fill(index + 1);
    for (const [index, piece] of pieces.entries()) assert.ok(piece.every((byte) => byte === index + 1));
    for (const piece of pieces.slice(0, 5)) assert.equal(piece.byteOffset % 8, 0);
  });

  it('begin again when everything has been given back, and not before', () => {
    const slabs = new SlabAllocator();
    const slab = slabs.reserve(1_000);
    assert.equal(slabs.reserve(500), slab);
    slabs.giveBack(slab, 1_000);
    assert.equal(slab.at, 1_500);
    slabs.giveBack(slab, 500);
    assert.equal(slab.at, 0);
    assert.equal(slabs.reserve(10), slab);
  });

  it('are kept for their next use, a bounded number of them', () => {
    const slabs = new SlabAllocator();
    const all = Array.from({ length: 40 }, () => slabs.reserve(60_000));
    assert.equal(new Set(all).size, 40);
    for (const slab of all) slabs.giveBack(slab, 60_000);
    const again = Array.from({ length: 40 }, () => slabs.reserve(60_000));
    const reused = again.filter((slab) => all.includes(slab)).length;
    assert.ok(reused > 1 && reused <= 17, `${reused} of 40`);
  });

  it('of an unusual length serve once', () => {
    const slabs = new SlabAllocator();
    const large = slabs.reserve(100_000);
    assert.equal(large.memory.length, 100_000);
    const usual = slabs.reserve(10);
    assert.notEqual(usual, large);
    slabs.giveBack(large, 100_000);
    assert.notEqual(slabs.reserve(65_000), large);
  });
});
