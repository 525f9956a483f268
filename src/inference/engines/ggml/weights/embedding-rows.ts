/**
 * Token ids to embeddings: rows of the table are read where they lie, one by one, so that a shard's memory does not hold
 * the table. Called for the shard that begins with layer 0.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { ExoError } from '../../../../shared/index.js';
import type { Ggml } from '../library/index.js';
import { elementType, type StoredTensor, toFloats } from './stored-tensor.js';

/** The open table. */
export class EmbeddingRows {
  readonly #ggml: Ggml;
  readonly #table: StoredTensor;
  readonly #scale: number;
  readonly #fd: number;

  /** `scale`: every element is multiplied by it. Throws `checkpoint-invalid`. */
  constructor(ggml: Ggml, table: StoredTensor, scale: number) {
    elementType(table);
    this.#ggml = ggml;
    this.#table = table;
    this.#scale = scale;
    try {
      this.#fd = openSync(table.file, 'r');
    } catch (cause) {
      throw new ExoError('checkpoint-invalid', `${table.file} cannot be opened`, { cause });
    }
  }

  /** [tokens, hidden]. Throws `tensor-invalid` for an id that the model does not have, and `checkpoint-invalid`. */
  read(tokens: ArrayLike<number>): Float32Array {
    const { rows, rowBytes, offset, file } = this.#table;
    const bytes = Buffer.allocUnsafeSlow(tokens.length * rowBytes);
    for (let index = 0; index < tokens.length; index += 1) {
      const token = tokens[index]!;
      if (!(token >= 0 && token < rows)) {
        throw new ExoError('tensor-invalid', `token ${token} is not one of the ${rows} of the model`);
      }
      const read = readSync(this.#fd, bytes, index * rowBytes, rowBytes, offset + token * rowBytes);
      if (read < rowBytes) throw new ExoError('checkpoint-invalid', `${file} is too short`);
    }
    const floats = toFloats(this.#ggml, this.#table, bytes);
    const scale = Math.fround(this.#scale);
    if (scale !== 1) for (let at = 0; at < floats.length; at += 1) floats[at] = floats[at]! * scale;
    return floats;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
