/**
 * One matrix of a shard: as it lies in the file, quantised, or taken over from mlx. Says in which type the device gets
 * it and how its bytes are made; loads nothing by itself. Called by `shard-weights.ts` and `weight-bytes.ts`.
 */
import type { MlxQuantization, WeightRef } from '../../../../models/index.js';
import { type Device, type ElementType, type Ggml, REPACK_ROWS, TYPE } from '../library/index.js';
import { findMlx, mlxFloats, mlxToQ41, mlxType } from './mlx-tensor.js';
import { type Quantisation, quantisedType } from './quantisation.js';
import { quantise } from './quantise.js';
import type { Scratch } from './scratch.js';
import {
  elementType,
  findTensor,
  readRows,
  type StoredTensor,
  type TensorTable,
  toFloats,
} from './stored-tensor.js';

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
  /** What its bytes are made of. */
  readonly sources: readonly StoredTensor[];
  /** Rows `from` to before `to` in `type`, in memory of their own or in `scratch`. */
  read(ggml: Ggml, from: number, to: number, scratch?: Scratch): Uint8Array;
}

/** Elements that are made at once: 4 MiB as float32. */
const CHUNK_ELEMENTS = 1024 * 1024;

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
    const sources = [packed.packed, packed.scales, packed.biases];
    const read: Matrix['read'] = (ggml, from, to, scratch) =>
      type === TYPE.Q4_1
        ? mlxToQ41(ggml, packed, from, to)
        : quantise(ggml, mlxFloats(ggml, packed, from, to), columns, type, scratch);
    return { rows, columns, type, stored: undefined, sources, read };
  }
  const stored = findTensor(tensors, ref, shape);
  const native = elementType(stored);
  const type = quantisedType(form.quantisation, columns, isHead);
  const sources = [stored];
  const bytesOf: Matrix['read'] = (_, from, to, scratch) => readRows(stored, from, to, scratch);
  if (type === undefined) return { rows, columns, type: native, stored, sources, read: bytesOf };
  const read: Matrix['read'] = (ggml, from, to, scratch) => {
    const floats = toFloats(ggml, stored, readRows(stored, from, to, scratch), scratch);
    return quantise(ggml, floats, columns, type, scratch);
  };
  return { rows, columns, type, stored: undefined, sources, read };
}

/** All bytes of a matrix in its type. A chunk is valid until the next one is asked for. Throws `checkpoint-invalid`. */
export function* chunksOf(matrix: Matrix, ggml: Ggml, scratch: Scratch): Generator<Uint8Array> {
  const { rows, columns } = matrix;
  const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns));
  for (let from = 0; from < rows; from += step) {
    yield matrix.read(ggml, from, Math.min(rows, from + step), scratch);
  }
}

/** Whether a matrix can have the faster layout of the processor; others end the process there. */
export function isRepackable({ type, rows }: Matrix, device: Device): boolean {
  return device.repacks(type) && rows % REPACK_ROWS === 0;
}
