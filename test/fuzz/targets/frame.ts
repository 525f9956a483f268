/** The frame decoder: any bytes in any pieces, within limits that the sink sets. */
import assert from 'node:assert/strict';
import { FrameDecoder, type FrameHead } from '../../../src/protocol/index.js';
import { ExoError } from '../../../src/shared/index.js';
import { rawFrame } from '../../support/frames.js';
import { GOLDEN_FRAMES } from '../../support/golden-frames.js';
import type { FuzzTarget } from '../target.js';

const BODY_BYTES_MAX = 64 * 1024;

interface Seen {
  readonly frames: string[];
  readonly bytes: Buffer[];
  readonly placedBytes: number;
  readonly error: ExoError | undefined;
}

/** Feeds the bytes in pieces of a size (0: whole) and keeps what came out, errors of ours included. */
function decode(input: Buffer, size: number, useWhole: boolean): Seen {
  const frames: string[] = [];
  const bytes: Buffer[] = [];
  let placedBytes = 0;
  const add = (head: FrameHead, body: Buffer) => {
    frames.push(`${head.type} ${head.id} ${head.flags} ${head.total} ${body.toString('latin1')}`);
    const isFirst = (head.flags & 2) !== 0;
    bytes.push(rawFrame(head.type & 0x7f, body, idOf(head), head.flags, isFirst ? head.total : undefined));
  };
  const decoder = new FrameDecoder({
    checkHeader: (_type, length) => {
      if (length > BODY_BYTES_MAX) throw new ExoError('frame-too-large', `${length} bytes`);
    },
    place: (head) => {
      placedBytes += head.bodyLength;
      return Buffer.alloc(head.bodyLength);
    },
    frame: (head, body) => add(head, body ?? Buffer.alloc(0)),
    ...(useWhole && {
      whole: (head: FrameHead, chunk: Buffer, at: number) => {
        add(head, Buffer.from(chunk.subarray(at, at + head.bodyLength)));
        return true;
      },
    }),
  });
  let error: ExoError | undefined;
  try {
    for (let at = 0; at < input.length; at += size || input.length) {
      decoder.push(input.subarray(at, size === 0 ? input.length : at + size));
    }
  } catch (caught) {
    if (!(caught instanceof ExoError)) throw caught;
    error = caught;
  }
  assert.equal(decoder.framesIn, frames.length);
  return { frames, bytes, placedBytes, error };
}

const idOf = (head: FrameHead) => ((head.type & 0x80) === 0 ? undefined : head.id);

export const frame: FuzzTarget = {
  name: 'frame',
  bytesMax: 4 * 1024,
  words: ['EXO\u0001', 'EXO\u0001\u0001', 'SSH-2.0-x', 'GET / HTTP/1.1'],
  codes: ['frame-bad-magic', 'frame-too-large', 'frame-malformed'],
  seeds: () => [
    ...Object.values(GOLDEN_FRAMES).map((hex) => Buffer.from(hex, 'hex')),
    rawFrame(0x50, Buffer.alloc(20), 7),
    Buffer.concat([rawFrame(0x12, Buffer.alloc(30), 5, 3, 60), rawFrame(0x12, Buffer.alloc(30), 5)]),
    Buffer.concat([rawFrame(0x01, Buffer.alloc(0)), rawFrame(0x12, Buffer.alloc(0), 5, 4)]),
    Buffer.from('160301020001', 'hex'),
  ],
  run(input) {
    const whole = decode(input, 0, true);
    // The most that a header can make it allocate before the bytes have come.
    assert.ok(
      whole.placedBytes <= input.length + BODY_BYTES_MAX,
      `${whole.placedBytes} bytes for ${input.length}`,
    );
    const again = Buffer.concat(whole.bytes);
    assert.ok(again.equals(input.subarray(0, again.length)), 'frames written again are other bytes');
    for (const size of [1, 3, 16]) {
      const pieces = decode(input, size, size === 16);
      assert.deepEqual(pieces.frames, whole.frames, `pieces of ${size}`);
      assert.equal(pieces.error?.code, whole.error?.code, `pieces of ${size}`);
    }
    if (whole.error !== undefined) throw whole.error;
    return `${Math.min(4, whole.frames.length)} frames`;
  },
};
