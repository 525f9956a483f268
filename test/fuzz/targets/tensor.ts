/** The tensor codec: element types, shapes, bytes, and half floats. An input is `shape as JSON`, a newline, the type's name, a newline, bytes. */
import assert from 'node:assert/strict';
import {
  checkTensor,
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  ITEM_BYTES,
  makeTensor,
  tensorBytes,
} from '../../../src/protocol/index.js';
import { ExoError, type Random, randomInt } from '../../../src/shared/index.js';
import type { FuzzTarget } from '../target.js';

const NAMES = [...Object.keys(ITEM_BYTES), 'bool_', 'mlx.core.float16', 'mlx.core.bool_', 'complex64'];

function inputOf(shape: readonly number[], name: string, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(shape)}\n${name}\n`), data]);
}

function numbersOf(text: string): number[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter((one) => typeof one === 'number') : [];
  } catch {
    return [];
  }
}

/** Halves as they are, and as they are after a way through floats: the same but for the bits of a NaN. */
function checkHalves(data: Buffer): void {
  const halves = data.subarray(0, (data.length >> 1) << 1);
  for (const [decode, encode] of [
    [decodeFloat16, encodeFloat16],
    [decodeBfloat16, encodeBfloat16],
  ] as const) {
    const floats = decode(halves);
    assert.equal(floats.length, halves.length / 2);
    assert.deepEqual(decode(encode(floats)), floats);
  }
}

export const tensor: FuzzTarget = {
  name: 'tensor',
  bytesMax: 8 * 1024,
  words: [...NAMES, '[0]', '[4294967296,4294967296]', '[1.5]', '[-1]'],
  codes: ['tensor-invalid'],
  seeds: () => [
    ...NAMES.map((name) => inputOf([2, 3], name, Buffer.alloc(24, 1))),
    inputOf([], 'float32', Buffer.alloc(4)),
    inputOf([0, 5], 'int64', Buffer.alloc(0)),
    inputOf([1, 1, 1, 1, 1, 1, 1, 1, 1], 'int8', Buffer.alloc(1)),
    inputOf([4], 'float16', Buffer.from('007c00fc017e0080', 'hex')),
  ],
  /** A shape, with the bytes that it asks for or nearly. */
  vary(_input: Buffer, random: Random) {
    const shape = Array.from({ length: randomInt(random, 0, 5) }, () => randomInt(random, 0, 4));
    const name = NAMES[randomInt(random, 0, NAMES.length - 1)]!;
    const item = ITEM_BYTES[name as keyof typeof ITEM_BYTES] ?? 1;
    const bytes = shape.reduce((product, one) => product * one, item);
    return inputOf(
      shape,
      name,
      random.bytes(Math.max(0, bytes + (random.next() < 0.2 ? randomInt(random, -1, 1) : 0))),
    );
  },
  run(input) {
    const first = input.indexOf(10);
    const second = input.indexOf(10, first + 1);
    if (first < 0 || second < 0) return 'no input';
    const shape = numbersOf(input.toString('utf8', 0, first));
    const data = input.subarray(second + 1);
    checkHalves(data);
    const made = makeTensor(shape, input.toString('utf8', first + 1, second), data);
    assert.equal(tensorBytes(made.shape, made.dtype), data.length);
    assert.equal(made.data, data, 'the bytes are a copy');
    checkTensor(made);
    assert.throws(() => makeTensor(made.shape, made.dtype, Buffer.alloc(data.length + 1)), ExoError);
    return `${made.dtype} ${made.shape.length}`;
  },
};
