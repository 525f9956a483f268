/**
 * Incremental frame decoder: chunks of any size in, frames out. Sans-I/O; keeps at most one header and one body.
 * It does not decide anything: the sink (the session) checks each header against its state, gives the place where the
 * body is written (so that a fragment lands in its message without a second copy), and takes what is complete.
 */
import { ExoError } from '../shared/index.js';
import {
  CORRELATED,
  FLAG_TOTAL,
  FLAGS_KNOWN,
  HEADER_BYTES,
  MAGIC,
  PREFIX_BYTES,
  TOTAL_BYTES,
} from './frame.js';

/** The head of the frame being received. One object per decoder, filled anew for each frame. */
export interface FrameHead {
  /** As on the wire, with bit 7. */
  type: number;
  /** As on the wire: prefix and body. */
  length: number;
  /** 0 for uncorrelated frames. */
  id: number;
  /** 0 for uncorrelated frames. */
  flags: number;
  /** Length of the whole message when flags has TOTAL, else of this body. */
  total: number;
  /** Bytes of this frame after the prefix. */
  bodyLength: number;
}

/** Who owns the decoder. Each call may throw an `ExoError`, which leaves `push` and makes the decoder unusable. */
export interface FrameSink {
  /**
   * The nine header bytes are there; nothing has been allocated. Throws when type or length are not allowed now. Called
   * again for the same header when what follows it comes later.
   */
  checkHeader(type: number, length: number): void;
  /** The head is complete. Returns `bodyLength` writable bytes, or undefined to skip the body. */
  place(head: FrameHead): Buffer | undefined;
  /** The body is complete: `body` is what `place` returned. */
  frame(head: FrameHead, body: Buffer | undefined): void;
  /**
   * The whole body is in `chunk`, from `at` on, and only valid during the call. True when the sink has taken it; false when
   * it wants `place` and `frame`.
   */
  whole?(head: FrameHead, chunk: Buffer, at: number): boolean;
}

/** Of bytes that are no frame, this many are shown. */
const SAMPLE_BYTES = 16;
/** The head of a first fragment. */
const HEAD_BYTES_MAX = HEADER_BYTES + PREFIX_BYTES + TOTAL_BYTES;

/** Cuts a byte stream into frames. */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #head: FrameHead = { type: 0, length: 0, id: 0, flags: 0, total: 0, bodyLength: 0 };
  readonly #raw = new Uint8Array(HEAD_BYTES_MAX);
  #rawNeed = HEADER_BYTES;
  #rawFill = 0;
  #inBody = false;
  #body: Buffer | undefined;
  #bodyFill = 0;
  #stopped = false;
  #waiting = false;
  #framesIn = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Complete frames so far. */
  get framesIn(): number {
    return this.#framesIn;
  }

  /** Whether a frame has begun and is not complete. */
  get midFrame(): boolean {
    return this.#inBody || this.#rawFill > 0;
  }

  /** Ignores everything from now on, also the rest of the chunk in `push`. */
  stop(): void {
    this.#stopped = true;
    this.#body = undefined;
  }

  /** From the sink, when a frame is complete: `push` returns before the next one. */
  wait(): void {
    this.#waiting = true;
  }

  /** Ends what `wait` began. */
  goOn(): void {
    this.#waiting = false;
  }

  /**
   * Takes the next bytes and returns how many: all of them, unless it was told to wait. The chunk's memory is not kept. Throws
   * `ExoError` (`frame-*` or what the sink throws).
   */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && !this.#stopped && !this.#waiting) {
      if (this.#inBody) {
        at = this.#fillBody(chunk, at);
        continue;
      }
      const headBytes = this.#rawFill === 0 ? this.#readHead(chunk, at) : Number.POSITIVE_INFINITY;
      at = at + headBytes <= chunk.length ? this.#begin(chunk, at + headBytes) : this.#gatherHead(chunk, at);
    }
    return at;
  }

  /** Fills `#head` from the head at `at` and returns its length; when not all of it is there, how long it is at least. */
  #readHead(bytes: Uint8Array, at: number): number {
    const available = bytes.length - at;
    if (available < HEADER_BYTES) return HEADER_BYTES;
    for (let index = 0; index < MAGIC.length; index += 1) {
      if (bytes[at + index] !== MAGIC[index]) throw badMagic(bytes.subarray(at));
    }
    const head = this.#head;
    head.type = bytes[at + 4]!;
    head.length = readUint32(bytes, at + 5);
    this.#sink.checkHeader(head.type, head.length);
    if ((head.type & CORRELATED) === 0) {
      head.id = 0;
      head.flags = 0;
      head.bodyLength = head.length;
      head.total = head.length;
      return HEADER_BYTES;
    }
    if (head.length < PREFIX_BYTES) throw malformed('a correlated frame shorter than its prefix');
    if (available < HEADER_BYTES + PREFIX_BYTES) return HEADER_BYTES + PREFIX_BYTES;
    head.id = readUint32(bytes, at + HEADER_BYTES);
    head.flags = bytes[at + HEADER_BYTES + 4]!;
    head.bodyLength = head.length - PREFIX_BYTES;
    head.total = head.bodyLength;
    if (head.flags === 0) return HEADER_BYTES + PREFIX_BYTES;
    if ((head.flags & ~FLAGS_KNOWN) !== 0) throw malformed(`unknown flags 0x${head.flags.toString(16)}`);
    if ((head.flags & FLAG_TOTAL) === 0) return HEADER_BYTES + PREFIX_BYTES;
    if (head.bodyLength < TOTAL_BYTES) throw malformed('a first fragment without its total length');
    if (available >= HEAD_BYTES_MAX) {
      head.bodyLength -= TOTAL_BYTES;
      head.total = readUint32(bytes, at + HEADER_BYTES + PREFIX_BYTES);
    }
    return HEAD_BYTES_MAX;
  }

  /** A head that is spread over chunks. */
  #gatherHead(chunk: Buffer, from: number): number {
    const raw = this.#raw;
    let at = from;
    while (at < chunk.length) {
      const byte = chunk[at++]!;
      raw[this.#rawFill++] = byte;
      if (this.#rawFill <= MAGIC.length && byte !== MAGIC[this.#rawFill - 1]) {
        throw badMagic(Buffer.concat([raw.subarray(0, this.#rawFill), chunk.subarray(at)]));
      }
      if (this.#rawFill < this.#rawNeed) continue;
      this.#rawNeed = this.#readHead(raw.subarray(0, this.#rawFill), 0);
      if (this.#rawNeed <= this.#rawFill) return this.#begin(chunk, at);
    }
    return at;
  }

  /** The head is complete, and its body begins at `at`. Returns where to go on. */
  #begin(chunk: Buffer, at: number): number {
    const head = this.#head;
    this.#rawFill = 0;
    this.#rawNeed = HEADER_BYTES;
    if (head.bodyLength <= chunk.length - at && this.#sink.whole?.(head, chunk, at) === true) {
      this.#framesIn += 1;
      return at + head.bodyLength;
    }
    this.#body = this.#sink.place(head);
    this.#bodyFill = 0;
    this.#inBody = true;
    if (head.bodyLength === 0) this.#complete();
    return at;
  }

  #fillBody(chunk: Buffer, from: number): number {
    const count = Math.min(this.#head.bodyLength - this.#bodyFill, chunk.length - from);
    const body = this.#body;
    if (body !== undefined) {
      body.set(
        from === 0 && count === chunk.length ? chunk : chunk.subarray(from, from + count),
        this.#bodyFill,
      );
    }
    this.#bodyFill += count;
    if (this.#bodyFill === this.#head.bodyLength) this.#complete();
    return from + count;
  }

  #complete(): void {
    const body = this.#body;
    this.#body = undefined;
    this.#inBody = false;
    this.#framesIn += 1;
    this.#sink.frame(this.#head, body);
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function malformed(what: string): ExoError {
  return new ExoError('frame-malformed', `${what}; the sender does not follow docs/PROTOCOL.md`);
}

function badMagic(bytes: Uint8Array): ExoError {
  return new ExoError(
    'frame-bad-magic',
    `expected EXO\\x01, got ${describe(bytes)}; is this port really an exo node port?`,
  );
}

/** The offending bytes in words that a person can use; most strangers are HTTP, TLS or ssh. */
function describe(bytes: Uint8Array): string {
  const sample = Buffer.from(bytes.subarray(0, SAMPLE_BYTES));
  const text = sample.toString('latin1');
  if (/^(GET|POST|PUT|HEAD|OPTIONS|PRI) /.test(text)) return 'an HTTP request';
  if (text.startsWith('SSH-')) return 'an ssh banner';
  if (sample[0] === 0x16 && sample[1] === 0x03) return 'a TLS handshake';
  return sample.toString('hex');
}
