/** A safetensors file as an old peer reads it: the header once, a tensor when its layer is first needed. F32 only. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';

const LENGTH_BYTES = 8;

export class CheckpointFolder {
  #entries;
  #dataStart;
  #file;

  constructor(folder) {
    this.config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
    this.#file = path.join(folder, 'model.safetensors');
    const file = openSync(this.#file, 'r');
    try {
      const length = Buffer.alloc(LENGTH_BYTES);
      readSync(file, length, 0, LENGTH_BYTES, 0);
      const header = Buffer.alloc(Number(length.readBigUInt64LE()));
      readSync(file, header, 0, header.length, LENGTH_BYTES);
      this.#entries = JSON.parse(header.toString('utf8'));
      this.#dataStart = LENGTH_BYTES + header.length;
    } finally {
      closeSync(file);
    }
  }

  /** The elements of a tensor, rows one after the other. */
  tensor(name) {
    const entry = this.#entries[name];
    if (entry === undefined) throw new Error(`KeyError: ${name}`);
    if (entry.dtype !== 'F32') throw new TypeError(`${name} is ${entry.dtype}`);
    const [from, to] = entry.data_offsets;
    const values = new Float32Array((to - from) / 4);
    const file = openSync(this.#file, 'r');
    try {
      readSync(file, new Uint8Array(values.buffer), 0, to - from, this.#dataStart + from);
    } finally {
      closeSync(file);
    }
    return values;
  }
}
