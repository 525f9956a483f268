/**
 * Writes frames one behind the other into slabs, so that many small frames leave as one chunk, and large payloads go out as
 * chunks of their own, uncopied. Used by the outbox, one per lane.
 */
import { CORRELATED, HEADER_BYTES, PREFIX_BYTES } from './frame.js';
import type { EncodedBody } from './message-encoder.js';

/** Frames per slab: some hundreds of usual ones; one idle connection keeps at most one slab per lane. */
const SLAB_BYTES = 64 * 1024;
/** First slab of a lane, for connections that say little. */
const FIRST_SLAB_BYTES = 4 * 1024;
/** Below this a copy costs less than one more element in a gathered write. */
export const COPY_BYTES_MAX = 4 * 1024;

/** Complete frames that are together: `head` is contiguous, `payload` belongs to the last frame in it. */
export interface Run {
  readonly head: Uint8Array;
  readonly payload: Uint8Array | undefined;
}

/** A queue of encoded frames. */
export class FrameWriter {
  #slab: Buffer = NOTHING;
  /** Bytes of the slab from here to `#end` are frames not yet taken. */
  #start = 0;
  #end = 0;
  #runs: Run[] = [];
  #bytes = 0;
  #frames = 0;

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
    const prefixBytes = id === undefined ? 0 : PREFIX_BYTES;
    const payloadBytes = payload?.length ?? 0;
    const copied = payloadBytes <= COPY_BYTES_MAX;
    const length = prefixBytes + (framed ? 4 : 0) + textBytes + payloadBytes;
    const here = HEADER_BYTES + length - (copied ? 0 : payloadBytes);
    this.#room(here);
    let at = this.#header(id === undefined ? type : type | CORRELATED, length);
    const slab = this.#slab;
    if (id !== undefined) {
      at = putUint32(slab, at, id);
      slab[at++] = flags;
    }
    if (framed) at = putUint32(slab, at, textBytes);
    if (textBytes > 0) at += slab.write(text, at, textBytes, 'utf8');
    if (payload !== undefined && copied) {
      slab.set(payload, at);
      at += payloadBytes;
    }
    this.#end = at;
    this.#bytes += HEADER_BYTES + length;
    this.#frames += 1;
    if (payload !== undefined && !copied) this.#cut(payload);
  }

  /** Takes the oldest frames that can leave together. */
  take(): Run | undefined {
    let run = this.#runs.shift();
    if (run === undefined) {
      if (this.#end === this.#start) return undefined;
      this.#cut(undefined);
      run = this.#runs.shift()!;
    }
    this.#bytes -= run.head.length + (run.payload?.length ?? 0);
    return run;
  }

  /** Forgets everything not taken. */
  clear(): void {
    this.#runs = [];
    this.#start = this.#end;
    this.#bytes = 0;
  }

  #header(type: number, length: number): number {
    const slab = this.#slab;
    let at = this.#end;
    slab[at++] = 0x45;
    slab[at++] = 0x58;
    slab[at++] = 0x4f;
    slab[at++] = 0x01;
    slab[at++] = type;
    return putUint32(slab, at, length);
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#slab.length) return;
    if (this.#end > this.#start) this.#cut(undefined);
    const size = this.#slab.length === 0 ? FIRST_SLAB_BYTES : SLAB_BYTES;
    this.#slab = Buffer.allocUnsafeSlow(Math.max(size, bytes));
    this.#start = 0;
    this.#end = 0;
  }

  #cut(payload: Uint8Array | undefined): void {
    this.#runs.push({ head: this.#slab.subarray(this.#start, this.#end), payload });
    this.#start = this.#end;
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
