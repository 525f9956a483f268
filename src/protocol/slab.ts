/**
 * A bump allocator for small buffers: cutting a piece from a slab costs a fraction of an allocation of its own.
 * Nothing is given back; a slab is garbage once no piece of it is in use. Used by the decoder for small bodies.
 */

/** One slab serves four of the largest small bodies, or a thousand usual ones. */
const SLAB_BYTES = 256 * 1024;

/** Cuts small buffers from slabs of 256 KiB. */
export class Slab {
  #slab: Buffer = EMPTY;
  #at = 0;

  /** `length` uninitialised bytes. */
  take(length: number): Buffer {
    if (length === 0) return EMPTY;
    if (this.#at + length > this.#slab.length) {
      if (length > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(length);
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#at = 0;
    }
    const piece = this.#slab.subarray(this.#at, this.#at + length);
    // 8-byte steps keep typed-array views of a body possible where its own layout allows them
    this.#at += (length + 7) & ~7;
    return piece;
  }
}

const EMPTY = Buffer.alloc(0);
