/**
 * Matrices in fewer bits: the bytes of a matrix in a type, row by row from the file. Called by
 * `matrix.ts`. Small errors stay: stated and measured in the tests.
 */
import type { ElementType, Ggml } from '../library/index.js';
import { readRows, type StoredTensor, toFloats } from './stored-tensor.js';

/** Elements that are held as float32 at once: 16 MiB. */
const CHUNK_ELEMENTS = 4 * 1024 * 1024;

/** The rows of a matrix in that type. Throws `checkpoint-invalid`. */
export function quantise(ggml: Ggml, tensor: StoredTensor, type: ElementType): Uint8Array {
  return quantiseRows(ggml, tensor.rows, tensor.columns, type, (from, to) =>
    toFloats(ggml, tensor, readRows(tensor, from, to)),
  );
}

/** Rows of floats, wherever they come from, in that type. */
export function quantiseRows(
  ggml: Ggml,
  rows: number,
  columns: number,
  type: ElementType,
  read: (from: number, to: number) => Float32Array,
): Uint8Array {
  const rowBytes = ggml.ggml_row_size(type, columns);
  const bytes = Buffer.allocUnsafeSlow(rows * rowBytes);
  const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns));
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step);
    const floats = read(from, to);
    const source = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
    const target = bytes.subarray(from * rowBytes, to * rowBytes);
    ggml.ggml_quantize_chunk(type, source, target, 0, to - from, columns, null);
  }
  return bytes;
}
