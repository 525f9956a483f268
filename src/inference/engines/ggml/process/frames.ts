/**
 * How node and engine process talk: a head in JSON and bytes behind it, both with their lengths in front.
 *
 *     u32 headBytes | u32 payloadBytes | head | payload
 *
 * Little endian; both ends are one machine and one version. Pure but for the buffers.
 */
import { ExoError, LIMITS } from '../../../../shared/index.js';

const LENGTHS_BYTES = 8;

/** The chunks of a frame, to be written one after the other. */
export function encodeFrame(head: unknown, payload?: Uint8Array): Uint8Array[] {
  const headBytes = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.allocUnsafe(LENGTHS_BYTES);
  lengths.writeUInt32LE(headBytes.length, 0);
  lengths.writeUInt32LE(payload?.length ?? 0, 4);
  const front = Buffer.concat([lengths, headBytes]);
  return payload === undefined || payload.length === 0 ? [front] : [front, payload];
}

/** Takes a stream apart. */
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
    let at = 0;
    do {
      const count = Math.min(chunk.length - at, this.#target.length - this.#filled);
      chunk.copy(this.#target, this.#filled, at, at + count);
      at += count;
      this.#filled += count;
      if (this.#filled === this.#target.length) this.#next();
    } while (at < chunk.length);
  }

  #next(): void {
    if (this.#target === this.#lengths) {
      const headBytes = this.#lengths.readUInt32LE(0);
      if (
        headBytes === 0 ||
        headBytes > LIMITS.engineHeadBytesMax ||
        this.#lengths.readUInt32LE(4) > LIMITS.enginePayloadBytesMax
      ) {
        throw new ExoError('engine-failed', 'node and engine process do not understand each other');
      }
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
    this.#onFrame(parse(head), payload);
  }

  #fill(target: Buffer): void {
    this.#target = target;
    this.#filled = 0;
  }
}

function parse(head: Buffer): unknown {
  try {
    return JSON.parse(head.toString('utf8')) as unknown;
  } catch (cause) {
    throw new ExoError('engine-failed', 'node and engine process do not understand each other', { cause });
  }
}
