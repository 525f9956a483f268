/**
 * Token ids to embeddings: rows of the table are read where they lie, one by one, so that a shard's memory does not hold
 * the table. Called for the shard that begins with layer 0.
 */
import type { Ggml } from '../library/index.js';
import { type MlxTensor, mlxFloats } from './mlx-tensor.js';
import {
  closeTensor,
  elementType,
  openTensor,
  readRows,
  type StoredTensor,
  toFloats,
} from './stored-tensor.js';

/** The open table, until it is closed. */
export class EmbeddingRows {
  readonly #ggml: Ggml;
  readonly #table: StoredTensor | MlxTensor;
  readonly #scale: number;

  /** `scale`: every element is multiplied by it. Throws `checkpoint-invalid`. */
  constructor(ggml: Ggml, table: StoredTensor | MlxTensor, scale: number) {
    if (!('packed' in table)) elementType(table);
    this.#ggml = ggml;
    this.#table = openTable(table);
    this.#scale = Math.fround(scale);
  }

  /** [tokens, hidden]; the ids are checked. Throws `checkpoint-invalid`. */
  read(tokens: ArrayLike<number>): Float32Array {
    const { columns } = this.#table;
    const floats = new Float32Array(tokens.length * columns);
    for (let index = 0; index < tokens.length; index += 1) {
      const row = this.#row(tokens[index]!);
      for (let at = 0; at < columns; at += 1) floats[index * columns + at] = row[at]! * this.#scale;
    }
    return floats;
  }

  /** Nothing is read any more. */
  close(): void {
    for (const tensor of tensorsOf(this.#table)) closeTensor(tensor);
  }

  #row(token: number): Float32Array {
    const table = this.#table;
    if ('packed' in table) return mlxFloats(this.#ggml, table, token, token + 1);
    return toFloats(this.#ggml, table, readRows(table, token, token + 1));
  }
}

/** A file that is being fetched gets its final name while rows of it are read. */
function openTable(table: StoredTensor | MlxTensor): StoredTensor | MlxTensor {
  if (!('packed' in table)) return openTensor(table);
  const opened: StoredTensor[] = [];
  try {
    for (const tensor of tensorsOf(table)) opened.push(openTensor(tensor));
  } catch (error) {
    for (const tensor of opened) closeTensor(tensor);
    throw error;
  }
  const [packed, scales, biases] = opened as [StoredTensor, StoredTensor, StoredTensor];
  return { ...table, packed, scales, biases };
}

function tensorsOf(table: StoredTensor | MlxTensor): readonly StoredTensor[] {
  return 'packed' in table ? [table.packed, table.scales, table.biases] : [table];
}
