/**
 * Bump allocation of small pieces of memory, shared by all connections of a node: cutting a piece from a slab costs a
 * fraction of an allocation of its own, and an idle connection holds none. Pieces that are given back (frames that have left)
 * make their slab new again; a slab with others (bodies) is garbage once none of them is in use.
 */
import { LIMITS } from '../shared/index.js';

/** Large enough for hundreds of usual frames, small enough that the C library keeps it for its next use. */
const SLAB_BYTES = 64 * 1024;
const SLABS_KEPT = LIMITS.slabsKept;

/** One piece of memory that is cut from its beginning. */
export class Slab {
  readonly memory: Buffer;
  /** What is behind this is free. */
  at = 0;
  /** Bytes that were reserved and not given back. */
  lentBytes = 0;
  #view: Buffer = EMPTY;
  #viewAt = 0;

  constructor(bytes: number) {
    this.memory = Buffer.allocUnsafeSlow(bytes);
  }

  /** The bytes from `at` on, as a view. The same view again when the same is asked for again. */
  view(at: number, length: number): Buffer {
    if (at !== this.#viewAt || length !== this.#view.length) {
      this.#view = this.memory.subarray(at, at + length);
      this.#viewAt = at;
    }
    return this.#view;
  }
}

/** Where pieces come from. */
export class SlabAllocator {
  #current = NONE;
  readonly #kept: Slab[] = [];

  /** `length` uninitialised bytes that will not be given back. */
  take(length: number): Buffer {
    if (length === 0) return EMPTY;
    if (length > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(length);
    // 8-byte steps keep typed-array views of a body possible where its own layout allows them
    const reserved = (length + 7) & ~7;
    const slab = this.reserve(reserved);
    const at = slab.at - reserved;
    return slab.memory.subarray(at, at + length);
  }

  /** Reserves bytes that will be given back: the last `length` ones before `at` of the slab that is returned. */
  reserve(length: number): Slab {
    let slab = this.#current;
    if (slab.at + length > slab.memory.length) {
      const large = length > SLAB_BYTES;
      slab = large ? new Slab(length) : (this.#kept.pop() ?? new Slab(SLAB_BYTES));
      this.#current = slab;
    }
    slab.at += length;
    slab.lentBytes += length;
    return slab;
  }

  /** Gives back bytes of a slab. */
  giveBack(slab: Slab, length: number): void {
    slab.lentBytes -= length;
    if (slab.lentBytes > 0) return;
    slab.at = 0;
    const usual = slab.memory.length === SLAB_BYTES;
    if (slab !== this.#current && usual && this.#kept.length < SLABS_KEPT) this.#kept.push(slab);
  }
}

const EMPTY = Buffer.alloc(0);
const NONE = new Slab(0);
