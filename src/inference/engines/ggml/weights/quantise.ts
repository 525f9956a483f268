/**
 * Matrices in fewer bits: which type a matrix gets, and its bytes in that type, row by row from the file. Called by
 * `matrix.ts`. Small errors stay: stated and measured in the tests.
 */
import { type ElementType, type Ggml, TYPE } from '../library/index.js';
import { readRows, type StoredTensor, toFloats } from './stored-tensor.js';

/** How weights are kept. `none` leaves them as they are in the file. */
export type Quantisation = 'none' | 'q8_0' | 'q4_0' | 'q4_k';

/** Elements that are held as float32 at once: 16 MiB. */
const CHUNK_ELEMENTS = 4 * 1024 * 1024;

const TYPES = { q8_0: TYPE.Q8_0, q4_0: TYPE.Q4_0, q4_k: TYPE.Q4_K } as const;
/** Elements that share a scale. */
const BLOCKS: Readonly<Record<number, number>> = { [TYPE.Q8_0]: 32, [TYPE.Q4_0]: 32, [TYPE.Q4_K]: 256 };

/**
 * The type that a matrix gets; undefined where it stays as it is. The head keeps eight bits: an error there is an error
 * of every token. Rows that are not whole blocks take the next coarser way that fits them.
 */
export function quantisedType(
  quantisation: Quantisation,
  columns: number,
  isHead: boolean,
): ElementType | undefined {
  if (quantisation === 'none') return undefined;
  const wanted = isHead ? TYPE.Q8_0 : TYPES[quantisation];
  return [wanted, TYPE.Q8_0].find((type) => columns % BLOCKS[type]! === 0);
}

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
