/**
 * Matrices of mlx-community checkpoints: numbers of four or eight bits packed in U32, with a scale and a bias for each
 * group. Four bits become Q4_1, which computes the same numbers but for the rounding of scales to float16; eight bits are
 * unpacked and quantised anew. Called by `matrix.ts` and `embedding-rows.ts`.
 */
import type { MlxQuantization, WeightRef } from '../../../../models/index.js';
import { type Ggml, TYPE } from '../library/index.js';
import { findTensor, readRows, type StoredTensor, type TensorTable, toFloats } from './stored-tensor.js';

/** Elements of a block of Q4_1, and its bytes: scale and minimum as float16, then the nibbles. */
const BLOCK = 32;
const BLOCK_BYTES = 20;

/** The three tensors of a matrix. */
export interface MlxTensor {
  readonly rows: number;
  readonly columns: number;
  readonly quantization: MlxQuantization;
  readonly packed: StoredTensor;
  readonly scales: StoredTensor;
  readonly biases: StoredTensor;
}

/** The matrix, if it is packed; undefined for one that mlx left as it was. Throws `checkpoint-invalid`. */
export function findMlx(
  tensors: TensorTable,
  ref: WeightRef,
  shape: readonly number[],
  quantization: MlxQuantization | undefined,
): MlxTensor | undefined {
  if (quantization === undefined || tensors[ref.tensor]?.type !== 'U32') return undefined;
  const [rows = 0, columns = 0] = shape;
  const { bits, groupSize } = quantization;
  const stem = ref.tensor.replace(/\.weight$/, '');
  const groups = [rows, columns / groupSize];
  return {
    rows,
    columns,
    quantization,
    packed: findTensor(tensors, ref, [rows, (columns * bits) / 32]),
    scales: findTensor(tensors, { ...ref, tensor: `${stem}.scales` }, groups),
    biases: findTensor(tensors, { ...ref, tensor: `${stem}.biases` }, groups),
  };
}

/** Rows as floats. Throws `checkpoint-invalid`. */
export function mlxFloats(ggml: Ggml, tensor: MlxTensor, from: number, to: number): Float32Array {
  const { columns, quantization } = tensor;
  const { bits, groupSize } = quantization;
  const packed = readRows(tensor.packed, from, to);
  const scales = toFloats(ggml, tensor.scales, readRows(tensor.scales, from, to));
  const biases = toFloats(ggml, tensor.biases, readRows(tensor.biases, from, to));
  const floats = new Float32Array((to - from) * columns);
  for (let at = 0; at < floats.length; at += 1) {
    // Little endian: the lowest bits of a word are its first element, whatever their number.
    const value = bits === 8 ? packed[at]! : (packed[at >> 1]! >> ((at & 1) * 4)) & 15;
    const group = Math.floor(at / groupSize);
    floats[at] = value * scales[group]! + biases[group]!;
  }
  return floats;
}

/** Rows of a matrix of four bits as Q4_1. Throws `checkpoint-invalid`. */
export function mlxToQ41(ggml: Ggml, tensor: MlxTensor, from: number, to: number): Uint8Array {
  const { columns, quantization } = tensor;
  const packed = readRows(tensor.packed, from, to);
  const scales = toHalves(ggml, tensor.scales, from, to);
  const biases = toHalves(ggml, tensor.biases, from, to);
  const blocks = ((to - from) * columns) / BLOCK;
  const perGroup = quantization.groupSize / BLOCK;
  const bytes = Buffer.allocUnsafeSlow(blocks * BLOCK_BYTES);
  for (let block = 0; block < blocks; block += 1) {
    const group = Math.floor(block / perGroup);
    const target = block * BLOCK_BYTES;
    bytes.writeUInt16LE(scales[group]!, target);
    bytes.writeUInt16LE(biases[group]!, target + 2);
    const source = (block * BLOCK) / 2;
    // Byte j of a block has the elements j and j + 16; mlx has neighbours in a byte.
    for (let pair = 0; pair < 8; pair += 1) {
      const low = packed[source + pair]!;
      const high = packed[source + 8 + pair]!;
      bytes[target + 4 + 2 * pair] = (low & 15) | ((high & 15) << 4);
      bytes[target + 5 + 2 * pair] = (low >> 4) | (high & 0xf0);
    }
  }
  return bytes;
}

function toHalves(ggml: Ggml, tensor: StoredTensor, from: number, to: number): Uint16Array {
  const bytes = readRows(tensor, from, to);
  const halves = new Uint16Array((to - from) * tensor.columns);
  if (tensor.type === 'F16') {
    halves.set(new Uint16Array(bytes.buffer, bytes.byteOffset, halves.length));
    return halves;
  }
  const floats = toFloats(ggml, tensor, bytes);
  ggml.ggml_fp32_to_fp16_row(
    new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength),
    new Uint8Array(halves.buffer),
    halves.length,
  );
  return halves;
}

/** The type in which a packed matrix is kept. */
export function mlxType({ bits }: MlxQuantization): typeof TYPE.Q4_1 | typeof TYPE.Q8_0 {
  return bits === 4 ? TYPE.Q4_1 : TYPE.Q8_0;
}
