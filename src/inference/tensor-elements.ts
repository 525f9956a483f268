/**
 * The elements of a small tensor as numbers, and back: token tensors, and the dummy engine's whole arithmetic.
 * Not for activations of a real model (those stay bytes). Pure.
 */
import type { DType, Tensor } from '../protocol/index.js';
import { ExoError } from '../shared/index.js';

interface ElementCodec {
  readonly bytes: number;
  read(data: Buffer, at: number): number;
  write(data: Buffer, value: number, at: number): void;
}

// 64-bit integers beyond 2^53 lose their last digits here; token ids and the dummy's counters stay far below.
const CODECS: Readonly<Record<DType, ElementCodec>> = {
  float64: { bytes: 8, read: (d, at) => d.readDoubleLE(at), write: (d, v, at) => d.writeDoubleLE(v, at) },
  float32: { bytes: 4, read: (d, at) => d.readFloatLE(at), write: (d, v, at) => d.writeFloatLE(v, at) },
  float16: {
    bytes: 2,
    read: (d, at) => halfToNumber(d.readUInt16LE(at)),
    write: (d, v, at) => d.writeUInt16LE(numberToHalf(v), at),
  },
  bfloat16: {
    bytes: 2,
    read: (d, at) => bitsToFloat(d.readUInt16LE(at) << 16),
    write: (d, v, at) => d.writeUInt16LE(numberToBfloat(v), at),
  },
  int64: {
    bytes: 8,
    read: (d, at) => Number(d.readBigInt64LE(at)),
    write: (d, v, at) => d.writeBigInt64LE(BigInt.asIntN(64, BigInt(v)), at),
  },
  int32: { bytes: 4, read: (d, at) => d.readInt32LE(at), write: (d, v, at) => d.writeInt32LE(v | 0, at) },
  int16: {
    bytes: 2,
    read: (d, at) => d.readInt16LE(at),
    write: (d, v, at) => d.writeInt16LE((v << 16) >> 16, at),
  },
  int8: { bytes: 1, read: (d, at) => d.readInt8(at), write: (d, v, at) => d.writeInt8((v << 24) >> 24, at) },
  uint64: {
    bytes: 8,
    read: (d, at) => Number(d.readBigUInt64LE(at)),
    write: (d, v, at) => d.writeBigUInt64LE(BigInt.asUintN(64, BigInt(v)), at),
  },
  uint32: {
    bytes: 4,
    read: (d, at) => d.readUInt32LE(at),
    write: (d, v, at) => d.writeUInt32LE(v >>> 0, at),
  },
  uint16: {
    bytes: 2,
    read: (d, at) => d.readUInt16LE(at),
    write: (d, v, at) => d.writeUInt16LE(v & 0xffff, at),
  },
  uint8: { bytes: 1, read: (d, at) => d.readUInt8(at), write: (d, v, at) => d.writeUInt8(v & 0xff, at) },
  bool: {
    bytes: 1,
    read: (d, at) => (d.readUInt8(at) === 0 ? 0 : 1),
    write: (d, v, at) => d.writeUInt8(v ? 1 : 0, at),
  },
};

/** Number of elements. Throws `tensor-invalid` when shape, dtype and bytes do not fit together. */
export function elementCount(tensor: Tensor): number {
  const { shape, dtype, data } = tensor;
  const codec = CODECS[dtype] as ElementCodec | undefined;
  if (codec === undefined)
    throw new ExoError('tensor-invalid', `no element type "${String(dtype)}" is known`);
  const count = shape.reduce((product, size) => product * size, 1);
  if (
    !shape.every((size) => Number.isSafeInteger(size) && size >= 0) ||
    count * codec.bytes !== data.length
  ) {
    throw new ExoError(
      'tensor-invalid',
      `a tensor of shape [${shape.join(', ')}] and type ${dtype} does not fit ${data.length} bytes`,
    );
  }
  return count;
}

/** All elements in C order. Throws `tensor-invalid`. */
export function readElements(tensor: Tensor): number[] {
  const codec = CODECS[tensor.dtype];
  const count = elementCount(tensor);
  return Array.from({ length: count }, (_, index) => codec.read(tensor.data, index * codec.bytes));
}

/** A tensor of these elements. Throws `tensor-invalid` when shape and count differ. */
export function tensorOf(dtype: DType, shape: readonly number[], values: readonly number[]): Tensor {
  const codec = CODECS[dtype];
  const data = Buffer.alloc(values.length * codec.bytes);
  for (const [index, value] of values.entries()) codec.write(data, value, index * codec.bytes);
  const tensor: Tensor = { shape, dtype, data };
  elementCount(tensor);
  return tensor;
}

/** Length of the sequence that a step carries: the second dimension ([1, sequence, …]), or the only one. */
export function sequenceLength(tensor: Tensor): number {
  return (tensor.shape.length === 1 ? tensor.shape[0] : tensor.shape[1]) ?? 1;
}

const scratch = new DataView(new ArrayBuffer(4));

function bitsToFloat(bits: number): number {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
}

function floatToBits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

function numberToBfloat(value: number): number {
  const bits = floatToBits(value);
  if (Number.isNaN(value)) return 0x7fc0;
  // Round to nearest even on the 16 bits that fall away.
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  // 65520 is where rounding to the largest half (65504) turns into infinity.
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent -= 1;
  // A fraction that rounds up to 1024 carries into the exponent by itself.
  return sign | (((exponent + 15) << 10) + roundEven((size / 2 ** exponent - 1) * 1024));
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
