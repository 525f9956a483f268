/**
 * One tensor of a checkpoint, or consecutive rows of one: found by its reference, its shape held against what the
 * architecture says, and read. Called where weights are put together.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { TensorEntry, WeightRef, WeightType } from '../../../../models/index.js';
import { ExoError, printable } from '../../../../shared/index.js';
import { type ElementType, type Ggml, TYPE } from '../library/index.js';
import type { Scratch } from './scratch.js';

/** Tensors by name, as they cross to this process. */
export type TensorTable = Readonly<Record<string, TensorEntry>>;

/** Rows of a tensor, as they lie in a file. */
export interface StoredTensor {
  readonly name: string;
  readonly file: string;
  /** Of the first byte of the first row. */
  readonly offset: number;
  readonly type: WeightType;
  readonly rows: number;
  /** Elements of a row. */
  readonly columns: number;
  readonly rowBytes: number;
  /** Its file, open: it is read also when it has another name by then, or none. Absent: it is opened to be read. */
  readonly fd?: number;
}

const ELEMENT_BYTES: Readonly<Record<WeightType, number>> = {
  F32: 4,
  F16: 2,
  BF16: 2,
  U32: 4,
  U8: 1,
  I32: 4,
  I64: 8,
};
/** Of one element. */
export function elementBytesOf({ type }: StoredTensor): number {
  return ELEMENT_BYTES[type];
}

/** One read takes at most 2 GiB on every system. */
const READ_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * The tensor that a reference means. `shape` is what it must be, rows cut already: [rows, columns] or [size].
 * Throws `checkpoint-invalid`.
 */
export function findTensor(tensors: TensorTable, ref: WeightRef, shape: readonly number[]): StoredTensor {
  const name = printable(ref.tensor);
  const entry = Object.hasOwn(tensors, ref.tensor) ? tensors[ref.tensor] : undefined;
  if (entry === undefined) throw new ExoError('checkpoint-invalid', `the checkpoint has no tensor ${name}`);
  const isMatrix = shape.length === 2;
  const [allRows = 1, rowLength = 1] = isMatrix ? entry.shape : [1, entry.shape[0]];
  const cutFrom = ref.rows?.[0] ?? 0;
  const cutTo = ref.rows?.[1] ?? (isMatrix ? allRows : rowLength);
  const rows = isMatrix ? cutTo - cutFrom : 1;
  const columns = isMatrix ? rowLength : cutTo - cutFrom;
  const wanted = isMatrix ? shape : [1, shape[0]];
  const inside = cutFrom >= 0 && cutFrom < cutTo && cutTo <= (isMatrix ? allRows : rowLength);
  if (entry.shape.length !== shape.length || !inside || rows !== wanted[0] || columns !== wanted[1]) {
    const cut = ref.rows === undefined ? '' : `, of which the rows ${cutFrom} to ${cutTo} are meant`;
    throw new ExoError(
      'checkpoint-invalid',
      `tensor ${name} has the shape [${entry.shape.join(', ')}]${cut}; the model needs [${shape.join(', ')}]`,
    );
  }
  const elementBytes = ELEMENT_BYTES[entry.type];
  if (entry.bytes !== allRows * rowLength * elementBytes) {
    throw new ExoError(
      'checkpoint-invalid',
      `tensor ${name} has ${entry.bytes} bytes, which its shape does not`,
    );
  }
  const rowBytes = columns * elementBytes;
  const offset = entry.offset + (isMatrix ? cutFrom * rowBytes : cutFrom * elementBytes);
  return { name, file: entry.file, offset, type: entry.type, rows, columns, rowBytes };
}

/** The bytes of rows `from` to before `to`, in memory of their own or in `scratch`. Throws `checkpoint-invalid`. */
export function readRows(tensor: StoredTensor, from: number, to: number, scratch?: Scratch): Uint8Array {
  const count = (to - from) * tensor.rowBytes;
  const data = scratch?.take('rows', count) ?? Buffer.allocUnsafeSlow(count);
  let fd = tensor.fd;
  try {
    fd ??= openSync(tensor.file, 'r');
    const start = tensor.offset + from * tensor.rowBytes;
    for (let at = 0; at < data.length; ) {
      const read = readSync(fd, data, at, Math.min(READ_BYTES_MAX, data.length - at), start + at);
      if (read === 0) throw new Error('the file is too short');
      at += read;
    }
    return data;
  } catch (error) {
    throw unreadable(tensor, error);
  } finally {
    if (fd !== undefined && fd !== tensor.fd) closeSync(fd);
  }
}

/** The same with its file open, for who reads now and then; `closeTensor` ends it. Throws `checkpoint-invalid`. */
export function openTensor(tensor: StoredTensor): StoredTensor {
  try {
    return { ...tensor, fd: openSync(tensor.file, 'r') };
  } catch (error) {
    throw unreadable(tensor, error);
  }
}

/** Nothing happens to one that is not open. */
export function closeTensor({ fd }: StoredTensor): void {
  if (fd !== undefined) closeSync(fd);
}

function unreadable({ name, file }: StoredTensor, error: unknown): ExoError {
  const why = error instanceof Error ? error.message : String(error);
  return new ExoError('checkpoint-invalid', `tensor ${name} cannot be read from ${file}: ${why}`, {
    cause: error,
  });
}

/** The type in which native code reads such a tensor as it lies. Throws `checkpoint-invalid`. */
export function elementType(tensor: StoredTensor): ElementType {
  const { type } = tensor;
  if (type === 'F32' || type === 'F16' || type === 'BF16') return TYPE[type];
  throw new ExoError(
    'checkpoint-invalid',
    `tensor ${tensor.name} holds ${type}, where the model needs floats`,
  );
}

/** Elements as float32: the bytes themselves where they are, else in memory of their own or in `scratch`. Throws `checkpoint-invalid`. */
export function toFloats(
  ggml: Ggml,
  tensor: StoredTensor,
  bytes: Uint8Array,
  scratch?: Scratch,
): Float32Array {
  const type = elementType(tensor);
  if (type === TYPE.F32) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const floats = scratch?.floats('floats', bytes.length / 2) ?? new Float32Array(bytes.length / 2);
  const target = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  if (type === TYPE.F16) ggml.ggml_fp16_to_fp32_row(bytes, target, floats.length);
  else ggml.ggml_bf16_to_fp32_row(bytes, target, floats.length);
  return floats;
}
