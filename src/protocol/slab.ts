/**
 * A bump allocator for small pieces of memory, shared by all connections of a node: cutting a piece from a slab costs a
 * fraction of an allocation of its own, and an idle connection holds none. A slab is garbage once no piece of it is in
 * use; one whose pieces have all been given back is used again from its beginning.
 */

/** Large enough for hundreds of usual frames, small enough that the C library keeps it for its next use. */
const SLAB_BYTES = 64 * 1024;

/** Cuts pieces from slabs of 64 KiB. */
export class Slab {
  #memory: Buffer = EMPTY;
  #at = 0;
  /** The view that was made last. */
  #view: Buffer = EMPTY;
  #viewAt = 0;
  /** Bytes of `memory` that were reserved and not given back. */
  #lentBytes = 0;

  /** Where `reserve` reserves. */
  get memory(): Buffer {
    return this.#memory;
  }

  /** `length` uninitialised bytes, never given back. */
  take(length: number): Buffer {
    if (length === 0) return EMPTY;
    if (length > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(length);
    // 8-byte steps keep typed-array views of a body possible where its own layout allows them
    const at = this.reserve((length + 7) & ~7);
    return this.#memory.subarray(at, at + length);
  }

  /** Position in `memory` from which on `length` bytes are the caller's. */
  reserve(length: number): number {
    if (this.#at + length > this.#memory.length) {
      this.#memory = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, length));
      this.#at = 0;
      this.#lentBytes = 0;
      this.#view = EMPTY;
    }
    const at = this.#at;
    this.#at += length;
    this.#lentBytes += length;
    return at;
  }

  /** The bytes from `at` on, as a view. The same view again when the same is asked for again. */
  view(at: number, length: number): Buffer {
    if (at !== this.#viewAt || length !== this.#view.length) {
      this.#view = this.#memory.subarray(at, at + length);
      this.#viewAt = at;
    }
    return this.#view;
  }

  /** Gives back bytes of `memory`; of memory that is no longer the current one, it is ignored. */
  giveBack(memory: Buffer, length: number): void {
    if (memory !== this.#memory) return;
    this.#lentBytes -= length;
    if (this.#lentBytes === 0) this.#at = 0;
  }
}

const EMPTY = Buffer.alloc(0);
