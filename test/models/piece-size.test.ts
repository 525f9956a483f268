/** Pieces of files between nodes: large where a link is fast, and never more than a moment of it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { PieceSize } from '../../src/models/peers/piece-size.js';
import { LIMITS } from '../../src/shared/index.js';

/** Two pieces are on their way at once: each waits behind the other. Returns the longest that one took beyond the way. */
function send(size: PieceSize, bitsPerS: number, wayMs: number, pieces: number): number {
  let before = 0;
  let worstMs = 0;
  for (let piece = 0; piece < pieces; piece += 1) {
    const bytes = size.bytes;
    const ms = wayMs + ((bytes + before) * 8_000) / bitsPerS;
    worstMs = Math.max(worstMs, ms - wayMs);
    size.took(ms);
    before = bytes;
  }
  return worstMs;
}

test('pieces become as large as they may be on a fast link, also on one that is long', () => {
  for (const wayMs of [0.2, 30, 200]) {
    const size = new PieceSize();
    send(size, 1e9, wayMs, 20);
    assert.equal(size.bytes, LIMITS.fileBytesMax, `${wayMs} ms`);
  }
});

test('what is on its way takes a link of 20 Mbit/s for 200 ms at most, one of 1 Mbit/s for 400 ms', () => {
  assert.ok(send(new PieceSize(), 20e6, 1, 2_000) <= 200);
  assert.ok(send(new PieceSize(), 1e6, 40, 2_000) <= 400);
});

test('pieces become small when the link gets slow, and large again when it is fast', () => {
  const size = new PieceSize();
  send(size, 1e9, 1, 50);
  send(size, 5e6, 1, 30);
  assert.ok(size.bytes <= 64 * 1024, String(size.bytes));
  send(size, 1e9, 1, 20);
  assert.equal(size.bytes, LIMITS.fileBytesMax);
});

test('a way that has become longer for good is measured anew', () => {
  const size = new PieceSize();
  send(size, 1e9, 1, 50);
  send(size, 1e9, 300, 1_100);
  assert.ok(size.bytes > 256 * 1024, String(size.bytes));
});
