/**
 * The elements of a small tensor as numbers, and back: token tensors, and the dummy engine's whole arithmetic.
 * Not for activations of a real model (those stay bytes). Pure.
 */
import {
  bfloat16ToNumber,
  checkTensor,
  type DType,
  float16ToNumber,
  ITEM_BYTES,
  numberToBfloat16,
  numberToFloat16,
  type Tensor,
} from '../protocol/index.js';

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
    read: (d, at) => float16ToNumber(d.readUInt16LE(at)),
    write: (d, v, at) => d.writeUInt16LE(numberToFloat16(v), at),
  },
  bfloat16: {
    bytes: 2,
    read: (d, at) => bfloat16ToNumber(d.readUInt16LE(at)),
    write: (d, v, at) => d.writeUInt16LE(numberToBfloat16(v), at),
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
  checkTensor(tensor);
  return tensor.data.length / ITEM_BYTES[tensor.dtype];
}

/** All elements in C order. Throws `tensor-invalid`. */
export function readElements(tensor: Tensor): number[] {
  const codec = CODECS[tensor.dtype];
  const count = elementCount(tensor);
  return Array.from({ length: count }, (_, index) => codec.read(tensor.data, index * codec.bytes));
}

/** One element, counted from the end when negative; NaN where there is none. Throws `tensor-invalid`. */
export function elementAt(tensor: Tensor, index: number): number {
  const codec = CODECS[tensor.dtype];
  const count = elementCount(tensor);
  const at = index < 0 ? count + index : index;
  return at >= 0 && at < count ? codec.read(tensor.data, at * codec.bytes) : Number.NaN;
}

/** Elements from `from` to before `to`, each mapped into the same place of `into`. */
export function mapElements(
  tensor: Tensor,
  into: Buffer,
  from: number,
  to: number,
  map: (value: number) => number,
): void {
  const { bytes, read, write } = CODECS[tensor.dtype];
  for (let at = from * bytes; at < to * bytes; at += bytes) write(into, map(read(tensor.data, at)), at);
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
