/**
 * float16 (IEEE 754 binary16) and bfloat16 to and from float32, little endian. Rounds to nearest, ties to even; NaN stays
 * NaN. Engines use it where their platform has no half floats. Pure.
 */

const bits = new Uint32Array(1);
const number = new Float32Array(bits.buffer);

/** One binary16 as a number. */
export function float16ToNumber(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  // zero and subnormals: the fraction counts steps of 2^-24
  if (exponent === 0) return (sign === 0 ? 1 : -1) * fraction * 2 ** -24;
  bits[0] = sign | ((exponent === 0x1f ? 0xff : exponent + 112) << 23) | (fraction << 13);
  return number[0]!;
}

/** The nearest binary16 of a number that is a float32. */
export function numberToFloat16(value: number): number {
  number[0] = value;
  const word = bits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const size = word & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00 | ((size >>> 13) & 0x1ff);
  // 65520 and more rounds to infinity
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size < 0x38800000) {
    // below the smallest normal: whole steps of 2^-24; the product is exact, so only this rounds
    return sign | roundToEven(Math.abs(number[0]!) * 2 ** 24);
  }
  const rounded = size + 0xfff + ((size >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** One bfloat16 (the upper half of a float32) as a number. */
export function bfloat16ToNumber(half: number): number {
  bits[0] = half << 16;
  return number[0]!;
}

/** The nearest bfloat16 of a number that is a float32. */
export function numberToBfloat16(value: number): number {
  number[0] = value;
  const word = bits[0]!;
  // the quiet bit keeps a NaN whose payload is in the lower half from turning into infinity
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}

/** Little-endian float16 elements as float32. */
export function decodeFloat16(data: Uint8Array): Float32Array {
  return decode(data, float16ToNumber);
}

/** float32 elements as little-endian float16. */
export function encodeFloat16(values: Float32Array): Buffer {
  return encode(values, numberToFloat16);
}

/** Little-endian bfloat16 elements as float32. */
export function decodeBfloat16(data: Uint8Array): Float32Array {
  return decode(data, bfloat16ToNumber);
}

/** float32 elements as little-endian bfloat16. */
export function encodeBfloat16(values: Float32Array): Buffer {
  return encode(values, numberToBfloat16);
}

function decode(data: Uint8Array, convert: (half: number) => number): Float32Array {
  const values = new Float32Array(data.length >>> 1);
  for (let index = 0; index < values.length; index++) {
    values[index] = convert(data[index * 2]! | (data[index * 2 + 1]! << 8));
  }
  return values;
}

function encode(values: Float32Array, convert: (value: number) => number): Buffer {
  const data = Buffer.allocUnsafeSlow(values.length * 2);
  for (let index = 0; index < values.length; index++) {
    const half = convert(values[index]!);
    data[index * 2] = half & 0xff;
    data[index * 2 + 1] = half >>> 8;
  }
  return data;
}

function roundToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return (low & 1) === 0 ? low : low + 1;
}
