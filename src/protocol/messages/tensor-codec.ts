/**
 * Element types and metadata of tensors: both spellings of the original in, the canonical one out, sizes checked.
 * Conversions of half floats are in `half-float.ts`. Pure.
 */
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import type { DType, Tensor } from './tensor.js';

/** Bytes of one element. */
export const ITEM_BYTES: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

/** How the original spells types on Apple silicon. */
const MLX_PREFIX = 'mlx.core.';

/** The canonical name of an element type in either spelling (`mlx.core.bool_` and numpy's `bool_` included). */
export function parseDType(name: string): DType {
  let bare = name.startsWith(MLX_PREFIX) ? name.slice(MLX_PREFIX.length) : name;
  if (bare === 'bool_') bare = 'bool';
  if (Object.hasOwn(ITEM_BYTES, bare)) return bare as DType;
  throw new ExoError(
    'tensor-invalid',
    `element type "${printable(name, 40)}" is not known; use one of ${Object.keys(ITEM_BYTES).join(', ')}`,
  );
}

/** The bytes that a tensor of this shape and type has. Throws `tensor-invalid`. */
export function tensorBytes(shape: readonly number[], dtype: DType): number {
  if (shape.length > LIMITS.tensorRankMax) {
    throw new ExoError(
      'tensor-invalid',
      `a tensor of ${shape.length} dimensions; at most ${LIMITS.tensorRankMax} are allowed`,
    );
  }
  let bytes: number = ITEM_BYTES[dtype];
  let empty = false;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new ExoError('tensor-invalid', `${dimension} is not a dimension of a tensor`);
    }
    if (dimension === 0) empty = true;
    else bytes *= dimension;
    if (bytes > Number.MAX_SAFE_INTEGER) {
      throw new ExoError('tensor-invalid', `a tensor of shape [${shape.join(', ')}] is too large`);
    }
  }
  return empty ? 0 : bytes;
}

/** Puts metadata and bytes together, and checks that they fit. `data` is not copied. Throws `tensor-invalid`. */
export function makeTensor(shape: readonly number[], dtypeName: string, data: Buffer): Tensor {
  const dtype = parseDType(dtypeName);
  const expected = tensorBytes(shape, dtype);
  if (expected !== data.length) {
    throw new ExoError(
      'tensor-invalid',
      `a ${dtype} tensor of shape [${shape.join(', ')}] has ${expected} bytes, not ${data.length}`,
    );
  }
  return { shape, dtype, data };
}

/** Throws `tensor-invalid` when shape, type and bytes do not fit together. */
export function checkTensor(tensor: Tensor): void {
  makeTensor(tensor.shape, tensor.dtype, tensor.data);
}
