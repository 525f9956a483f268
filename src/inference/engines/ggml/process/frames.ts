/**
 * How node and engine process talk: a head in JSON and bytes behind it, both with their lengths in front.
 *
 *     u32 headBytes | u32 payloadBytes | head | payload
 *
 * Little endian; both ends are one machine and one version.
 */
import type { Writable } from 'node:stream';
import { ExoError, LIMITS } from '../../../../shared/index.js';

const LENGTHS_BYTES = 8;
/** Below this a copy costs less than a write of several chunks. */
const COPY_BYTES_MAX = 16 * 1024;
const NOTHING = new Uint8Array(0);

/** The chunks of a frame, to be written one after the other: one for a step of a token. */
export function encodeFrame(head: unknown, payload: Uint8Array = NOTHING): Uint8Array[] {
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const isCopied = payload.length <= COPY_BYTES_MAX;
  const front = Buffer.allocUnsafe(LENGTHS_BYTES + headBytes + (isCopied ? payload.length : 0));
  front.writeUInt32LE(headBytes, 0);
  front.writeUInt32LE(payload.length, 4);
  front.write(text, LENGTHS_BYTES);
  if (!isCopied) return [front, payload];
  front.set(payload, LENGTHS_BYTES + headBytes);
  return [front];
}

/** Writes a frame, at once where the pipe takes it. */
export function writeFrame(pipe: Writable, head: unknown, payload?: Uint8Array): void {
  const [front, ...rest] = encodeFrame(head, payload);
  if (rest.length > 0) pipe.cork();
  pipe.write(front);
  for (const chunk of rest) pipe.write(chunk);
  if (rest.length > 0) pipe.uncork();
}

/** Takes a stream apart. Each payload has memory of its own, so that it is aligned and can be kept. */
export class FrameReader {
  readonly #onFrame: (head: unknown, payload: Buffer) => void;
  readonly #lengths: Buffer = Buffer.alloc(LENGTHS_BYTES);
  /** What is being filled: the lengths, or head and payload in memory of their own. */
  #target: Buffer = this.#lengths;
  #filled = 0;
  #head: Buffer | undefined;

  constructor(onFrame: (head: unknown, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** Throws `engine-failed` for lengths over the bounds and a head that is no JSON. */
  push(chunk: Buffer): void {
    let at = this.#wholes(chunk);
    while (at < chunk.length) {
      const count = Math.min(chunk.length - at, this.#target.length - this.#filled);
      chunk.copy(this.#target, this.#filled, at, at + count);
      at += count;
      this.#filled += count;
      if (this.#filled === this.#target.length) this.#next();
    }
  }

  /** The usual case, frames that begin and end within the chunk: their heads are read where they are. Returns where to go on. */
  #wholes(chunk: Buffer): number {
    let at = 0;
    while (this.#filled === 0 && this.#target === this.#lengths && chunk.length - at >= LENGTHS_BYTES) {
      const { headBytes, payloadBytes } = lengthsAt(chunk, at);
      const payloadAt = at + LENGTHS_BYTES + headBytes;
      const end = payloadAt + payloadBytes;
      if (end > chunk.length) return at;
      const payload = Buffer.allocUnsafeSlow(payloadBytes);
      chunk.copy(payload, 0, payloadAt, end);
      this.#onFrame(parse(chunk, at + LENGTHS_BYTES, payloadAt), payload);
      at = end;
    }
    return at;
  }

  #next(): void {
    if (this.#target === this.#lengths) {
      const { headBytes } = lengthsAt(this.#lengths, 0);
      this.#fill(Buffer.allocUnsafeSlow(headBytes));
      return;
    }
    if (this.#head === undefined) {
      this.#head = this.#target;
      this.#fill(Buffer.allocUnsafeSlow(this.#lengths.readUInt32LE(4)));
      if (this.#target.length > 0) return;
    }
    const head = this.#head;
    const payload = this.#target;
    this.#head = undefined;
    this.#fill(this.#lengths);
    this.#onFrame(parse(head, 0, head.length), payload);
  }

  #fill(target: Buffer): void {
    this.#target = target;
    this.#filled = 0;
  }
}

/** Throws `engine-failed` for lengths over the bounds. */
function lengthsAt(bytes: Buffer, at: number): { headBytes: number; payloadBytes: number } {
  const headBytes = bytes.readUInt32LE(at);
  const payloadBytes = bytes.readUInt32LE(at + 4);
  const isBound = headBytes <= LIMITS.engineHeadBytesMax && payloadBytes <= LIMITS.enginePayloadBytesMax;
  if (isBound && headBytes > 0) return { headBytes, payloadBytes };
  throw new ExoError('engine-failed', 'node and engine process do not understand each other');
}

function parse(bytes: Buffer, from: number, to: number): unknown {
  try {
    return JSON.parse(bytes.toString('utf8', from, to)) as unknown;
  } catch (cause) {
    throw new ExoError('engine-failed', 'node and engine process do not understand each other', { cause });
  }
}
