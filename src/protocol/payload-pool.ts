/**
 * Large buffers, used again: a fresh 16 MiB buffer costs as much in page faults as receiving into it.
 * A buffer that is never released simply becomes garbage. Memory of a new buffer is committed by the system only as it is
 * written, so an announced length costs nothing until its bytes come. Shared by all connections of a node.
 */
import { LIMITS } from '../shared/index.js';

/** Takes and reuses large buffers by size class. */
export class PayloadPool {
  readonly #free = new Map<number, ArrayBufferLike[]>();
  /** Buffers that are out: what is not in here is not ours, or was released before. */
  readonly #lent = new WeakSet<ArrayBufferLike>();
  readonly #keptBytesMax: number;
  #keptBytes = 0;

  constructor(keptBytesMax: number = LIMITS.payloadPoolBytesMax) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** Bytes waiting for their next use. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** A buffer of exactly `length` uninitialised bytes. */
  take(length: number): Buffer {
    const size = sizeClass(length);
    const memory = this.#free.get(size)?.pop();
    if (memory !== undefined) {
      this.#keptBytes -= size;
      this.#lent.add(memory);
      return Buffer.from(memory, 0, length);
    }
    const fresh = Buffer.allocUnsafeSlow(size);
    this.#lent.add(fresh.buffer);
    return fresh.subarray(0, length);
  }

  /** Gives back the memory behind a buffer (or any view of it). Foreign and already released buffers are ignored. */
  release(buffer: Buffer): void {
    const memory = buffer.buffer;
    if (!this.#lent.delete(memory)) return;
    const size = memory.byteLength;
    if (this.#keptBytes + size > this.#keptBytesMax) return;
    const list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, [memory]);
    else list.push(memory);
    this.#keptBytes += size;
  }
}

/** Four classes per power of two: at most a quarter of a buffer is unused, and unused pages are never touched. */
function sizeClass(length: number): number {
  const step = 2 ** Math.max(12, Math.floor(Math.log2(Math.max(1, length))) - 2);
  return Math.ceil(length / step) * step;
}
