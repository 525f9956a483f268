/**
 * One matrix of a shard: as it lies in the file, quantised, or taken over from mlx. Says in which type the device gets
 * it and how its bytes are made; loads nothing by itself. Called by `shard-weights.ts` and `weight-bytes.ts`.
 */
import type { MlxQuantization, WeightRef } from '../../../../models/index.js';
import { type ElementType, type Ggml, TYPE } from '../library/index.js';
import { findMlx, mlxFloats, mlxToQ41, mlxType } from './mlx-tensor.js';
import { type Quantisation, quantisedType } from './quantisation.js';
import { quantise, quantiseRows } from './quantise.js';
import { elementType, findTensor, readRows, type StoredTensor, type TensorTable } from './stored-tensor.js';

/** How matrices are kept. */
export interface MatrixForm {
  readonly quantisation: Quantisation;
  readonly mlx?: MlxQuantization;
}

/** A matrix that is to be loaded. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly type: ElementType;
  /** Where it lies in the type in which it is used; undefined where its bytes are made. */
  readonly stored: StoredTensor | undefined;
  /** Its bytes in `type`. */
  read(ggml: Ggml): Uint8Array;
}

/** Repacked layouts interleave so many rows at most. */
const REPACK_ROWS = 16;

/** Finds a matrix. Throws `checkpoint-invalid`. */
export function findMatrix(
  tensors: TensorTable,
  ref: WeightRef,
  shape: readonly number[],
  form: MatrixForm,
  isHead: boolean,
): Matrix {
  const [rows = 0, columns = 0] = shape;
  const packed = findMlx(tensors, ref, shape, form.mlx);
  if (packed !== undefined) {
    const type = mlxType(packed.quantization);
    const read = (ggml: Ggml) =>
      type === TYPE.Q4_1
        ? mlxToQ41(ggml, packed)
        : quantiseRows(ggml, rows, columns, type, (from, to) => mlxFloats(ggml, packed, from, to));
    return { rows, columns, type, stored: undefined, read };
  }
  const stored = findTensor(tensors, ref, shape);
  const native = elementType(stored);
  const type = quantisedType(form.quantisation, columns, isHead);
  if (type === undefined) {
    return { rows, columns, type: native, stored, read: () => readRows(stored, 0, rows) };
  }
  return { rows, columns, type, stored: undefined, read: (ggml) => quantise(ggml, stored, type) };
}

/** Whether a matrix may have the faster layout of the processor; others end the process there. */
export function isRepackable({ type, rows }: Matrix): boolean {
  return type === TYPE.Q4_0 && rows % REPACK_ROWS === 0;
}
