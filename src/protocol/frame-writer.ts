/**
 * Writes frames one behind the other into the node's slab, so that many small frames leave as one chunk, and large payloads
 * go out as chunks of their own, uncopied. Used by the outbox, one per lane. What has been taken is lent from the slab until
 * `sent` is called.
 */
import { CORRELATED, HEADER_BYTES, PREFIX_BYTES } from './frame.js';
import type { EncodedBody } from './message-encoder.js';
import type { Slab } from './slab.js';

/** Below this a copy costs less than one more element in a gathered write. */
export const COPY_BYTES_MAX = 16 * 1024;

/** Complete frames that are together: `head` is contiguous, `payload` belongs to the last frame in it. */
interface Run {
  readonly head: Uint8Array;
  readonly payload: Uint8Array | undefined;
}

/** A queue of encoded frames. */
export class FrameWriter {
  readonly #slab: Slab;
  /** The piece of the slab that is being written. */
  #memory: Buffer = NOTHING;
  /** Bytes of it from here to `#end` are frames not yet taken. */
  #start = 0;
  #end = 0;
  #runs: Run[] = [];
  #bytes = 0;
  #frames = 0;
  /** Memory of what was taken and is not sent yet, and how much of it. */
  #lent: Buffer = NOTHING;
  #lentBytes = 0;

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  /** Bytes not yet taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Frames written so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Appends a frame; `id` undefined makes a base frame. The payload must not change until it is sent. */
  add(type: number, id: number | undefined, flags: number, body: EncodedBody): void {
    const { text, framed, payload } = body;
    const textBytes = text.length === 0 ? 0 : Buffer.byteLength(text);
    const payloadBytes = payload === undefined ? 0 : payload.length;
    const copied = payloadBytes <= COPY_BYTES_MAX;
    const length = (id === undefined ? 0 : PREFIX_BYTES) + (framed ? 4 : 0) + textBytes + payloadBytes;
    let at = this.#room(HEADER_BYTES + length - (copied ? 0 : payloadBytes));
    const memory = this.#memory;
    memory[at] = 0x45;
    memory[at + 1] = 0x58;
    memory[at + 2] = 0x4f;
    memory[at + 3] = 0x01;
    memory[at + 4] = id === undefined ? type : type | CORRELATED;
    at = putUint32(memory, at + 5, length);
    if (id !== undefined) {
      at = putUint32(memory, at, id);
      memory[at++] = flags;
    }
    if (framed) at = putUint32(memory, at, textBytes);
    if (textBytes > 0) at += memory.write(text, at, textBytes, 'utf8');
    if (copied && payloadBytes > 0) {
      memory.set(payload!, at);
      at += payloadBytes;
    }
    this.#end = at;
    this.#bytes += HEADER_BYTES + length;
    this.#frames += 1;
    if (!copied) this.#cut(payload);
  }

  /** Takes the oldest frames that can leave together: appends their head, and returns the payload that must follow. */
  take(chunks: Uint8Array[]): Uint8Array | undefined {
    const run = this.#runs.shift();
    const head = run === undefined ? this.#lend() : run.head;
    const payload = run?.payload;
    chunks.push(head);
    this.#bytes -= head.length + (payload === undefined ? 0 : payload.length);
    // an idle connection must not keep an old slab alive
    if (this.#bytes === 0) this.#forget();
    return payload;
  }

  /** Everything that was ever added has left: its memory may be used again. */
  sent(): void {
    if (this.#lentBytes === 0) return;
    this.#slab.giveBack(this.#lent, this.#lentBytes);
    this.#lentBytes = 0;
    this.#lent = NOTHING;
  }

  /** Forgets everything not taken. */
  clear(): void {
    this.#runs = [];
    this.#bytes = 0;
    this.#forget();
  }

  #forget(): void {
    this.#memory = NOTHING;
    this.#start = 0;
    this.#end = 0;
  }

  /** Where to write `bytes` bytes: behind the last frame, or where a new run begins. */
  #room(bytes: number): number {
    const at = this.#slab.reserve(bytes);
    const { memory } = this.#slab;
    if (memory === this.#memory && at === this.#end) return at;
    if (this.#end > this.#start) this.#cut(undefined);
    this.#memory = memory;
    this.#start = at;
    return at;
  }

  #cut(payload: Uint8Array | undefined): void {
    this.#runs.push({ head: this.#lend(), payload });
  }

  /** What is written and not cut off yet, as a chunk. */
  #lend(): Uint8Array {
    const at = this.#start;
    const bytes = this.#end - this.#start;
    if (this.#lent === this.#memory) this.#lentBytes += bytes;
    else {
      // what was lent from the slab before is left to the garbage collector with it
      this.#lent = this.#memory;
      this.#lentBytes = bytes;
    }
    this.#start = this.#end;
    return this.#memory === this.#slab.memory
      ? this.#slab.view(at, bytes)
      : this.#memory.subarray(at, at + bytes);
  }
}

/** Writes a u32 big-endian and returns the position behind it. */
export function putUint32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

const NOTHING = Buffer.alloc(0);
