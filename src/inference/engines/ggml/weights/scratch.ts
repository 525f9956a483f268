/**
 * Memory that is used again and again while a shard is loaded: garbage of the size of the weights would stay until some later
 * collection. Lives as long as the loading.
 */

/** Bytes by purpose. */
export class Scratch {
  readonly #buffers = new Map<string, ArrayBuffer>();

  /** So many bytes, with whatever was in them; valid until the same purpose is asked for again. */
  take(purpose: string, bytes: number): Uint8Array {
    let buffer = this.#buffers.get(purpose);
    if (buffer === undefined || buffer.byteLength < bytes) {
      buffer = new ArrayBuffer(bytes);
      this.#buffers.set(purpose, buffer);
    }
    return new Uint8Array(buffer, 0, bytes);
  }

  /** The same as float32. */
  floats(purpose: string, count: number): Float32Array {
    return new Float32Array(this.take(purpose, count * 4).buffer, 0, count);
  }
}
