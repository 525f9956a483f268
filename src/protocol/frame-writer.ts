/**
 * Writes frames one behind the other into the node's slabs, so that many small frames leave as one chunk, and large payloads
 * go out as chunks of their own, uncopied. Used by the outbox, one per lane. Their memory is lent until `sent` is
 * called.
 */
import { CORRELATED, HEADER_BYTES, PREFIX_BYTES } from './frame.js';
import type { EncodedBody } from './messages/message-encoder.js';
import type { Slab, SlabAllocator } from './slab.js';

/** Below this a copy costs less than one more element in a gathered write. */
export const COPY_BYTES_MAX = 16 * 1024;

/** Complete frames that are together: `head` is contiguous, `payload` belongs to the last frame in it. */
interface Run {
  readonly head: Uint8Array;
  readonly payload: Uint8Array | undefined;
}

/** Memory of frames that have not all left. */
interface Lent {
  readonly slab: Slab;
  readonly bytes: number;
}

/** A queue of encoded frames. */
export class FrameWriter {
  readonly #slabs: SlabAllocator;
  /** What is being written: bytes of the slab from `#start` to `#end` are frames not yet taken. */
  #slab: Slab | undefined;
  #start = 0;
  #end = 0;
  #runs: Run[] = [];
  #bytes = 0;
  #frames = 0;
  /** The slab that was written last, and how much of it is lent. */
  #lentSlab: Slab | undefined;
  #lentBytes = 0;
  /** Those before it. */
  #lentBefore: Lent[] | undefined;

  constructor(slabs: SlabAllocator) {
    this.#slabs = slabs;
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
    const { memory } = this.#room(HEADER_BYTES + length - (copied ? 0 : payloadBytes));
    let at = this.#end;
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
    const run = this.#runs.length === 0 ? undefined : this.#runs.shift();
    const head = run === undefined ? this.#head() : run.head;
    const payload = run === undefined ? undefined : run.payload;
    chunks.push(head);
    this.#bytes -= head.length + (payload === undefined ? 0 : payload.length);
    // an idle connection keeps no slab alive
    if (this.#bytes === 0) this.#forget();
    return payload;
  }

  /** Everything that was ever added has left: its memory may be used again. */
  sent(): void {
    if (this.#lentSlab === undefined) return;
    this.#slabs.giveBack(this.#lentSlab, this.#lentBytes);
    this.#lentSlab = undefined;
    this.#lentBytes = 0;
    if (this.#lentBefore === undefined) return;
    for (const { slab, bytes } of this.#lentBefore) this.#slabs.giveBack(slab, bytes);
    this.#lentBefore = undefined;
  }

  /** Forgets everything not taken. */
  clear(): void {
    this.#runs = [];
    this.#bytes = 0;
    this.#forget();
  }

  #forget(): void {
    this.#slab = undefined;
    this.#start = 0;
    this.#end = 0;
  }

  /** Makes room at `#end`: behind the last frame, or where a new run begins. */
  #room(bytes: number): Slab {
    const slab = this.#slabs.reserve(bytes);
    const at = slab.at - bytes;
    if (slab !== this.#lentSlab) {
      if (this.#lentSlab !== undefined) {
        this.#lentBefore ??= [];
        this.#lentBefore.push({ slab: this.#lentSlab, bytes: this.#lentBytes });
      }
      this.#lentSlab = slab;
      this.#lentBytes = 0;
    }
    this.#lentBytes += bytes;
    if (slab !== this.#slab || at !== this.#end) {
      if (this.#end > this.#start) this.#cut(undefined);
      this.#slab = slab;
      this.#start = at;
      this.#end = at;
    }
    return slab;
  }

  #cut(payload: Uint8Array | undefined): void {
    this.#runs.push({ head: this.#head(), payload });
  }

  /** What is written and not cut off yet, as a chunk. */
  #head(): Uint8Array {
    const at = this.#start;
    this.#start = this.#end;
    return this.#slab!.view(at, this.#end - at);
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
