/**
 * Two ends of a byte stream in memory, for tests of what runs over one. Bytes are delivered on the next tick, in chunks
 * of a chosen size, from memory that is overwritten afterwards (a chunk is only valid during the call).
 */
import type { ByteStream } from '../../src/protocol/index.js';

/** One end. */
export class PairedStream implements ByteStream {
  readonly remote: string;
  readonly remoteHost = '127.0.0.1';
  onData: (chunk: Buffer) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onEnd: () => void = () => undefined;
  onClose: (error?: Error) => void = () => undefined;
  /** Everything that was ever written here. */
  readonly written: Buffer[] = [];
  /** Bytes that may be delivered; the rest waits. */
  allowance = Number.POSITIVE_INFINITY;
  ended = false;
  destroyed = false;
  readonly #chunkBytes: number;
  #other: PairedStream | undefined;
  #queue: Buffer[] = [];
  #unsent = 0;
  #planned = false;
  #paused = false;
  #finSent = false;
  #closed = false;

  constructor(name: string, chunkBytes: number) {
    this.remote = name;
    this.#chunkBytes = chunkBytes;
  }

  join(other: PairedStream): void {
    this.#other = other;
  }

  get unsentBytes(): number {
    return this.#unsent;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.destroyed || this.ended) return false;
    for (const chunk of chunks) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      this.#queue.push(bytes);
      this.#unsent += bytes.length;
      this.written.push(Buffer.from(bytes));
    }
    this.#plan();
    return true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#other!.#plan();
  }

  /** Nothing that is written here arrives. */
  stall(): void {
    this.allowance = 0;
  }

  /** Everything arrives. */
  flow(): void {
    this.allowance = Number.POSITIVE_INFINITY;
    this.#plan();
  }

  /** Lets `bytes` more through. */
  allow(bytes: number): void {
    this.allowance += bytes;
    this.#plan();
  }

  end(): void {
    this.ended = true;
    this.#plan();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    process.nextTick(() => {
      this.#close();
      this.#other?.reset();
    });
  }

  /** The other end dropped the stream. */
  reset(): void {
    if (this.#closed) return;
    this.destroyed = true;
    this.#close(new Error('reset by the other end'));
  }

  #close(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClose(error);
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const other = this.#other!;
    let moved = 0;
    while (
      this.#queue.length > 0 &&
      this.allowance > 0 &&
      !other.#paused &&
      !this.destroyed &&
      !other.destroyed
    ) {
      const first = this.#queue[0]!;
      const count = Math.min(first.length, this.#chunkBytes, this.allowance);
      const scratch = Buffer.from(first.subarray(0, count));
      if (count === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(count);
      this.#unsent -= count;
      this.allowance -= count;
      moved += count;
      other.onData(scratch);
      scratch.fill(0xee);
    }
    if (moved > 0 && !this.destroyed) this.onDrain();
    if (this.#queue.length > 0 || !this.ended || this.#finSent) return;
    this.#finSent = true;
    if (!other.destroyed) other.onEnd();
    if (other.#finSent) {
      this.#close();
      other.#close();
    }
  }
}

/** Two joined ends. */
export function streamPair(chunkBytes = 64 * 1024): [PairedStream, PairedStream] {
  const a = new PairedStream('dialler:1', chunkBytes);
  const b = new PairedStream('acceptor:2', chunkBytes);
  a.join(b);
  b.join(a);
  return [a, b];
}
