/** A tensor as it travels: shape, element type, and bytes in C order, little endian, without padding. */

/** Element types, in the canonical spelling (the original on Apple silicon writes `mlx.core.` in front). */
export type DType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool';

/** `data.length` is the product of `shape` times the size of `dtype`. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: Buffer;
}
