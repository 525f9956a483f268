/**
 * What waits to be sent on one connection, by priority. Sans-I/O: the connection pulls chunks while the stream has less
 * than about one fragment unsent, so that a control frame waits behind one fragment at most.
 *
 *   control   health, errors, goodbye, cancel     always first
 *   ordinary  every other message that fits one fragment, and all base frames
 *   bulk      fragmented messages, one fragment in turn of each of the first few
 */
import { LIMITS } from '../shared/index.js';
import {
  CORRELATED,
  FLAG_ABANDON,
  FLAG_MORE,
  FLAG_TOTAL,
  HEADER_BYTES,
  MAGIC,
  PREFIX_BYTES,
  TOTAL_BYTES,
} from './frame.js';
import { FrameWriter, putUint32 } from './frame-writer.js';
import type { EncodedBody } from './messages/message-encoder.js';
import type { SlabAllocator } from './slab.js';

/** Which frames go first. */
export type Lane = 'control' | 'ordinary';

/** A message that is sent in fragments. */
export interface BulkMessage {
  readonly type: number;
  readonly id: number;
  readonly parts: readonly Uint8Array[];
  readonly total: number;
  sent: number;
  /** Position of the next byte to send: which part, and where in it. */
  part: number;
  offset: number;
}

const FRAGMENT_BYTES = LIMITS.fragmentBytesMax;
const TEXT_MEASURED_MIN = FRAGMENT_BYTES / 12;

/** Ordered, bounded only by its owner (`queuedBytes`, `piledBytes`). */
export class Outbox {
  readonly #control: FrameWriter;
  readonly #ordinary: FrameWriter;
  /** Payload of a single frame that leaves in slices; nothing may come between. */
  #slicing: Uint8Array | undefined;
  /** Messages whose fragments take turns; at most one of them has id 0. */
  #rotation: BulkMessage[] = [];
  #waiting: BulkMessage[] = [];
  #bulkBytes = 0;
  #bulkFrames = 0;
  /** The longest body that was queued since the lane of base frames was last empty. */
  #longestBase = 0;

  /** `slabs`: where frames are written, shared by all connections of a node. */
  constructor(slabs: SlabAllocator) {
    this.#control = new FrameWriter(slabs);
    this.#ordinary = new FrameWriter(slabs);
  }

  /** Bytes not yet pulled. */
  get queuedBytes(): number {
    const slicing = this.#slicing === undefined ? 0 : this.#slicing.length;
    return this.#control.bytes + this.#ordinary.bytes + slicing + this.#bulkBytes;
  }

  /**
   * Bytes not yet pulled besides the longest message: a large one is as large as it is, but nobody lets many pile up. Looks at
   * every message; to be asked where there is much.
   */
  get piledBytes(): number {
    let longest = this.#ordinary.bytes === 0 && this.#slicing === undefined ? 0 : this.#longestBase;
    for (const list of [this.#rotation, this.#waiting]) {
      for (const { total, sent } of list) longest = Math.max(longest, total - sent);
    }
    return Math.max(0, this.queuedBytes - longest);
  }

  /** Frames put together so far. */
  get framesOut(): number {
    return this.#control.frames + this.#ordinary.frames + this.#bulkFrames;
  }

  /** Whether another message in fragments should be queued by one who can wait. */
  get hasRoom(): boolean {
    return this.#bulkBytes < LIMITS.sendQueueBytesSoft;
  }

  /** Whether a body of this size may be echoed: a peer that asks and never reads must not fill the memory. */
  mayEcho(bytes: number): boolean {
    return (
      (bytes > LIMITS.fragmentBytesMax ? this.#bulkBytes : this.#ordinary.bytes) < LIMITS.sendQueueBytesSoft
    );
  }

  /** Whether a correlated message with this body goes in fragments. */
  isBulk(body: EncodedBody): boolean {
    const { text, payload } = body;
    const payloadBytes = payload === undefined ? 0 : payload.length;
    // a UTF-16 unit takes at most three bytes; only texts near the limit are measured
    const textBytes = text.length <= TEXT_MEASURED_MIN ? text.length * 3 : Buffer.byteLength(text);
    return payloadBytes + textBytes + 4 > FRAGMENT_BYTES;
  }

  /** Queues a base frame. They all go in one lane, because an old client tells its answers apart by order. */
  addBase(type: number, body: EncodedBody): void {
    if (this.#ordinary.bytes === 0 && this.#slicing === undefined) this.#longestBase = 0;
    this.#longestBase = Math.max(this.#longestBase, body.text.length + (body.payload?.length ?? 0));
    this.#ordinary.add(type, undefined, 0, body);
  }

  /** Queues a correlated message; a long one in fragments, and then it is returned so that it can be abandoned. */
  addCorrelated(type: number, id: number, body: EncodedBody, lane: Lane): BulkMessage | undefined {
    if (!this.isBulk(body)) {
      (lane === 'control' ? this.#control : this.#ordinary).add(type, id, 0, body);
      return undefined;
    }
    const message = bulkMessage(type, id, body);
    this.#bulkBytes += message.total;
    if (this.#mayRotate(message)) this.#rotation.push(message);
    else this.#waiting.push(message);
    return message;
  }

  /** Stops sending a message that nobody waits for any more. One that has begun is ended with an ABANDON frame. */
  abandon(message: BulkMessage): void {
    if (message.sent === message.total) return;
    if (!remove(this.#waiting, message) && !remove(this.#rotation, message)) return;
    this.#bulkBytes -= message.total - message.sent;
    if (message.sent > 0) this.#control.add(message.type, message.id, FLAG_ABANDON, NO_BODY);
    this.#admit();
  }

  /**
   * Appends the chunks that should leave next to `chunks` and returns how many bytes they are: all control and ordinary
   * frames until about `roomBytes`, then one fragment at a time. 0 when there is nothing.
   */
  pull(chunks: Uint8Array[], roomBytes: number): number {
    let bytes = 0;
    while (bytes < roomBytes && this.queuedBytes > 0) {
      const added = this.#pullOne(chunks);
      if (added === 0) break;
      bytes += added;
    }
    return bytes;
  }

  /** Everything that was pulled has left, and nothing waits: memory may be used again. */
  sent(): void {
    this.#control.sent();
    this.#ordinary.sent();
  }

  /** Forgets everything. */
  clear(): void {
    this.#control.clear();
    this.#ordinary.clear();
    this.#slicing = undefined;
    this.#rotation = [];
    this.#waiting = [];
    this.#bulkBytes = 0;
  }

  #pullOne(chunks: Uint8Array[]): number {
    if (this.#slicing !== undefined) return this.#slice(chunks);
    if (this.#control.bytes > 0) return this.#run(this.#control, chunks);
    if (this.#ordinary.bytes > 0) return this.#run(this.#ordinary, chunks);
    return this.#fragment(chunks);
  }

  #run(lane: FrameWriter, chunks: Uint8Array[]): number {
    this.#slicing = lane.take(chunks);
    const headBytes = chunks[chunks.length - 1]!.length;
    return this.#slicing === undefined ? headBytes : headBytes + this.#slice(chunks);
  }

  #slice(chunks: Uint8Array[]): number {
    const whole = this.#slicing!;
    const count = Math.min(whole.length, FRAGMENT_BYTES);
    chunks.push(count === whole.length ? whole : whole.subarray(0, count));
    this.#slicing = count === whole.length ? undefined : whole.subarray(count);
    return count;
  }

  #fragment(chunks: Uint8Array[]): number {
    const message = this.#rotation.shift();
    if (message === undefined) return 0;
    const first = message.sent === 0;
    const count = Math.min(FRAGMENT_BYTES, message.total - message.sent);
    const last = message.sent + count === message.total;
    const head = new Uint8Array(HEADER_BYTES + PREFIX_BYTES + (first ? TOTAL_BYTES : 0));
    head.set(MAGIC);
    head[4] = message.type | CORRELATED;
    let at = putUint32(head, 5, head.length - HEADER_BYTES + count);
    at = putUint32(head, at, message.id);
    head[at++] = (first ? FLAG_TOTAL : 0) | (last ? 0 : FLAG_MORE);
    if (first) putUint32(head, at, message.total);
    chunks.push(head);
    advance(message, count, chunks);
    this.#bulkBytes -= count;
    this.#bulkFrames += 1;
    if (last) this.#admit();
    else this.#rotation.push(message);
    return head.length + count;
  }

  #admit(): void {
    for (let index = 0; index < this.#waiting.length && this.#rotation.length < LIMITS.bulkInRotation; ) {
      const message = this.#waiting[index]!;
      if (this.#mayRotate(message)) {
        this.#waiting.splice(index, 1);
        this.#rotation.push(message);
      } else index += 1;
    }
  }

  #mayRotate(message: BulkMessage): boolean {
    if (this.#rotation.length >= LIMITS.bulkInRotation) return false;
    return message.id !== 0 || this.#rotation.every((other) => other.id !== 0);
  }
}

const NO_BODY: EncodedBody = { text: '', framed: false, payload: undefined };

function bulkMessage(type: number, id: number, body: EncodedBody): BulkMessage {
  const text = Buffer.from(body.text);
  const parts: Uint8Array[] = [];
  if (body.framed) {
    const length = new Uint8Array(4);
    putUint32(length, 0, text.length);
    parts.push(length);
  }
  parts.push(text);
  if (body.payload !== undefined) parts.push(body.payload);
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  return { type, id, parts, total, sent: 0, part: 0, offset: 0 };
}

/** Appends views of the next `count` bytes of the message. */
function advance(message: BulkMessage, count: number, chunks: Uint8Array[]): void {
  message.sent += count;
  let left = count;
  while (left > 0) {
    const part = message.parts[message.part]!;
    const taken = Math.min(left, part.length - message.offset);
    if (taken > 0) chunks.push(part.subarray(message.offset, message.offset + taken));
    left -= taken;
    message.offset += taken;
    if (message.offset === part.length) {
      message.part += 1;
      message.offset = 0;
    }
  }
}

function remove<T>(list: T[], item: T): boolean {
  const index = list.indexOf(item);
  if (index < 0) return false;
  list.splice(index, 1);
  return true;
}
