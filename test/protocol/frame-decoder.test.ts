import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLAG_MORE, FLAG_TOTAL, FrameDecoder } from '../../src/protocol/index.js';
import type { ExoError } from '../../src/shared/index.js';
import { collectingDecoder, rawFrame, type SeenFrame } from '../support/frames.js';
import { GOLDEN_FRAMES } from '../support/golden-frames.js';
import { promise } from '../support/promise.js';
import fc from '../support/properties.js';
import { propertyRuns } from '../support/scale.js';

const anyFrame = fc.oneof(
  fc
    .record({ type: fc.constantFrom(1, 2, 0x10, 0x12, 0x40), body: fc.uint8Array({ maxLength: 300 }) })
    .map(({ type, body }) => rawFrame(type, body)),
  fc
    .record({
      type: fc.constantFrom(0x10, 0x50, 0x7f),
      id: fc.nat(),
      more: fc.boolean(),
      total: fc.option(fc.nat(), { nil: undefined }),
      body: fc.uint8Array({ maxLength: 300 }),
    })
    .map(({ type, id, more, total, body }) =>
      rawFrame(type, body, id, (more ? FLAG_MORE : 0) | (total === undefined ? 0 : FLAG_TOTAL), total),
    ),
  fc.constantFrom(...Object.values(GOLDEN_FRAMES)).map((hex) => Buffer.from(hex, 'hex')),
);

function decodeInChunks(bytes: Buffer, cuts: readonly number[]): SeenFrame[] {
  const { decoder, frames } = collectingDecoder();
  let at = 0;
  for (const cut of [
    ...cuts.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b),
    bytes.length,
  ]) {
    // own memory for each chunk, overwritten after the call, as a reused receive buffer is
    const chunk = Buffer.from(bytes.subarray(at, cut));
    decoder.push(chunk);
    chunk.fill(0xee);
    at = cut;
  }
  assert.equal(decoder.midFrame, false);
  return frames;
}

/** Milliseconds of processor to decode one frame of `bytes` bytes in chunks of one byte: the least of several runs. */
function oneByteCost(bytes: number): number {
  const frame = rawFrame(0x12, Buffer.alloc(bytes));
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 5; run++) {
    const { decoder, frames } = collectingDecoder();
    const before = process.cpuUsage();
    for (let at = 0; at < frame.length; at++) decoder.push(frame.subarray(at, at + 1));
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1_000);
    assert.equal(frames.length, 1);
  }
  return best;
}

/** Of the times for four times the size: 4 where the cost is linear, 16 where it is quadratic. */
const RATIO_MAX = 2.3 ** 2;

describe('the frame decoder', () => {
  it('gives the same frames for any chunking', (t) => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { minLength: 1, maxLength: 6 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames);
          assert.deepEqual(decodeInChunks(bytes, cuts), decodeInChunks(bytes, []));
        },
      ),
      { numRuns: propertyRuns(1_000) },
    );
    promise(t, 'P2', `${propertyRuns(1_000)} cases, 0 differences`);
  });

  it('gives each golden frame when it comes byte by byte', () => {
    const bytes = Buffer.concat(Object.values(GOLDEN_FRAMES).map((hex) => Buffer.from(hex, 'hex')));
    const cuts = Array.from({ length: bytes.length }, (_, index) => index / bytes.length);
    assert.deepEqual(decodeInChunks(bytes, cuts), decodeInChunks(bytes, []));
  });

  it('refuses wrong magic at the first byte that differs', () => {
    for (const wrong of [0, 1, 2, 3]) {
      const bytes = Buffer.from('EXO\x01', 'latin1');
      bytes[wrong]! ^= 1;
      const { decoder } = collectingDecoder();
      decoder.push(bytes.subarray(0, wrong));
      assert.throws(() => decoder.push(bytes.subarray(wrong, wrong + 1)), { code: 'frame-bad-magic' });
    }
  });

  it('says in words what a stranger speaks', () => {
    const cases: ReadonlyArray<[string, RegExp]> = [
      ['GET / HTTP/1.1\r\n\r\n', /HTTP/],
      ['SSH-2.0-OpenSSH_9.2\r\n', /ssh/],
      ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /TLS/],
    ];
    for (const [bytes, words] of cases) {
      assert.throws(
        () => collectingDecoder().decoder.push(Buffer.from(bytes, 'latin1')),
        (error: ExoError) => {
          assert.equal(error.code, 'frame-bad-magic');
          assert.match(error.message, words);
          return true;
        },
      );
    }
  });

  it('asks for the header check before it asks for memory', () => {
    let placed = 0;
    const decoder = new FrameDecoder({
      checkHeader: (_type, length) => {
        throw new RangeError(String(length));
      },
      place: () => {
        placed += 1;
        return undefined;
      },
      frame: () => undefined,
    });
    const header = rawFrame(0x12, Buffer.alloc(0));
    header.writeUInt32BE(0xffff_ffff, 5);
    assert.throws(() => decoder.push(header), { message: '4294967295' });
    assert.equal(placed, 0);
  });

  it('skips a body without a place for it', () => {
    const seen: number[] = [];
    const decoder = new FrameDecoder({
      checkHeader: () => undefined,
      place: (head) => (head.type === 0x12 ? undefined : Buffer.alloc(head.bodyLength)),
      frame: (head) => seen.push(head.type),
    });
    decoder.push(Buffer.concat([rawFrame(0x12, Buffer.alloc(1000)), rawFrame(0x01, Buffer.alloc(0))]));
    assert.deepEqual(seen, [0x12, 0x01]);
  });

  it('refuses flags that it does not know, and prefixes that do not fit', () => {
    const unknown = rawFrame(0x50, Buffer.alloc(0), 1, 0x80);
    const short = Buffer.from('45584f01d00000000401020304', 'hex');
    const noTotal = rawFrame(0x50, Buffer.alloc(2), 1, FLAG_TOTAL);
    for (const bytes of [unknown, short, noTotal]) {
      assert.throws(() => collectingDecoder().decoder.push(bytes), { code: 'frame-malformed' });
    }
  });

  it('costs linear time in one-byte chunks, 1 MiB within 2 s', (t) => {
    // The least of a few in turn: whatever else the machine does only adds, to one as to the other.
    let quarter = Number.POSITIVE_INFINITY;
    let whole = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 12 && (round < 4 || whole > quarter * RATIO_MAX); round++) {
      quarter = Math.min(quarter, oneByteCost(256 * 1024));
      whole = Math.min(whole, oneByteCost(1024 * 1024));
    }
    assert.ok(whole <= 2_000, `${whole} ms`);
    assert.ok(whole <= quarter * RATIO_MAX, `${quarter} ms, then ${whole} ms for four times the size`);
    promise(
      t,
      'P6',
      `1 MiB in ${whole.toFixed(0)} ms, ${(whole / quarter).toFixed(2)} × the time of a quarter of it`,
    );
  });
});
