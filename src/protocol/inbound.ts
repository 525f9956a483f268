/**
 * The receiving half of a session: which frames its state allows, where their bodies go, and what a complete one is.
 * Sans-I/O; only `session.ts` uses it.
 */
import { ExoError, LIMITS } from '../shared/index.js';
import { mayUse } from './access.js';
import { BodyStore, type Held } from './body-store.js';
import {
  CORRELATED,
  FLAG_ABANDON,
  isAnswerType,
  isBaseType,
  isKnownType,
  isOneWayType,
  PREFIX_BYTES,
  TOTAL_BYTES,
  TYPE,
  typeLimitBytes,
} from './frame.js';
import { FrameDecoder, type FrameHead, type FrameSink } from './frame-decoder.js';
import { HeldBytes } from './held-bytes.js';
import { checkBodyRate, checkFirstFrame } from './inbound-deadlines.js';
import type { BudgetClass } from './memory-budget.js';
import { type Assembly, MessageAssembler, type SkipReason } from './messages/message-assembler.js';
import { bytesOf, isKept } from './messages/message-bytes.js';
import { MessageDecoder } from './messages/message-decoder.js';
import type { Message } from './messages/messages.js';
import type { SessionCore, SessionOptions } from './session-core.js';

const CORRELATED_FRAME_BYTES_MAX = LIMITS.fragmentBytesMax + PREFIX_BYTES + TOTAL_BYTES;

const NO_BYTES = Buffer.alloc(0);
/** What an old peer may begin a connection with. */
const LARGE_FROM_OLD_PEERS: ReadonlySet<number> = new Set([TYPE.prompt, TYPE.tensorRequest, TYPE.result]);

/** Bytes of one peer, and what they become. */
export class Inbound implements FrameSink {
  readonly #session: SessionCore;
  readonly #store: BodyStore;
  readonly #assembler: MessageAssembler;
  readonly #frames = new FrameDecoder(this);
  readonly #messages = new MessageDecoder();
  readonly #openedAtMs: number;
  /** The message whose frame is being received. */
  #current: Assembly | undefined;
  #bytesIn = 0;
  #nowMs: number;
  #firstByteAtMs: number | undefined;
  /** Bodies that an answer on its way still shows. */
  readonly #shown: Buffer[] = [];
  readonly #held = new HeldBytes();
  /** When the frame being received began, and how many bytes had come then. */
  #frameSinceMs = 0;
  #frameBytesThen = 0;

  constructor(session: SessionCore, options: SessionOptions) {
    this.#session = session;
    this.#store = new BodyStore(options.budget, options.pool, options.slabs.bodies);
    this.#assembler = new MessageAssembler(this.#store);
    this.#openedAtMs = options.nowMs;
    this.#nowMs = options.nowMs;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get framesIn(): number {
    return this.#frames.framesIn;
  }

  get needsTick(): boolean {
    return this.isHeld || this.#frames.midFrame || this.#assembler.size > 0 || this.#isUnspoken;
  }

  /** Whether bytes are kept until `release`. */
  get isHeld(): boolean {
    return this.#held.isHolding;
  }

  /** Accepted, and not one complete frame so far. */
  get #isUnspoken(): boolean {
    return this.#session.state === 'fresh' && this.#session.role === 'acceptor';
  }

  /** Takes bytes. Throws when the connection must be closed. */
  receive(chunk: Buffer, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#firstByteAtMs ??= nowMs;
    const framesBefore = this.#frames.framesIn;
    const wasMidFrame = this.#frames.midFrame;
    const bytesBefore = this.#bytesIn;
    this.#bytesIn += chunk.length;
    const taken = this.#frames.push(chunk);
    if (this.#held.isHolding) this.#held.keep(chunk.subarray(taken));
    if (this.#frames.midFrame && (!wasMidFrame || this.#frames.framesIn !== framesBefore)) {
      this.#frameSinceMs = nowMs;
      this.#frameBytesThen = bytesBefore;
    }
  }

  /**
   * From now on bytes are kept as they are: what the other end may say is being judged. Ends with `release`, or with the handshake's
   * deadline.
   */
  hold(): void {
    this.#held.hold(this.#nowMs);
    this.#frames.wait();
  }

  /** It has been judged: hands out what was kept, which is to be received again. */
  release(): Buffer | undefined {
    const held = this.#held.release();
    if (held === undefined) return undefined;
    this.#frames.goOn();
    this.#bytesIn -= held.length;
    return held;
  }

  /** Looks at the deadlines of the handshake and of bodies. Throws when one has passed. */
  tick(nowMs: number): void {
    this.#held.checkDeadline(nowMs);
    if (this.#isUnspoken) checkFirstFrame(this.#openedAtMs, this.#firstByteAtMs, nowMs);
    if (this.#frames.midFrame) {
      checkBodyRate(this.#bytesIn - this.#frameBytesThen, nowMs - this.#frameSinceMs);
    }
    const oldest = this.#assembler.oldest();
    if (oldest !== undefined) checkBodyRate(this.#bytesIn - oldest.bytesThen, nowMs - oldest.sinceMs);
  }

  /** All answers have left: the memory that they showed may be used again. */
  sent(): void {
    if (this.#shown.length === 0) return;
    for (const buffer of this.#shown) this.#store.reuse(buffer);
    this.#shown.length = 0;
  }

  /** Nothing is taken any more, and all memory is given back. */
  close(): void {
    this.#frames.stop();
    this.#held.release();
    this.#assembler.clear(this.#current);
    this.#current = undefined;
  }

  // ------------------------------------------------------------------ FrameSink

  checkHeader(wireType: number, length: number): void {
    const type = wireType & ~CORRELATED;
    const { state } = this.#session;
    if (wireType !== type) {
      if (state !== 'established') {
        throw new ExoError('protocol-violation', 'a correlated frame before hello on both sides');
      }
      if (length > CORRELATED_FRAME_BYTES_MAX) throw tooLarge(length, CORRELATED_FRAME_BYTES_MAX);
      return;
    }
    if (!isBaseType(type)) {
      throw new ExoError('frame-unknown-type', `type 0x${type.toString(16)} is not of the base protocol`);
    }
    // an old peer that has reconnected goes on with its work at once, and a hello is never this long
    if (length > LIMITS.freshFrameBytesMax && this.#session.trusted && LARGE_FROM_OLD_PEERS.has(type)) {
      this.#session.becomeLegacy();
    }
    const limit = Math.min(this.#stateLimitBytes(), typeLimitBytes(type));
    if (length > limit) throw tooLarge(length, limit);
  }

  /** A small message in one frame: nothing has to be remembered for it. */
  whole(head: FrameHead, chunk: Buffer, at: number): boolean {
    const type = head.type & ~CORRELATED;
    if (type === head.type || head.flags !== 0 || this.#assembler.size > 0) return false;
    const { bodyLength } = head;
    if (this.#store.isLarge(bodyLength) || bodyLength > typeLimitBytes(type)) return false;
    if (this.#admitCorrelated(type, head.id) !== undefined) return false;
    let body = bodyLength === 0 ? NO_BYTES : chunk.subarray(at, at + bodyLength);
    if (bodyLength > 0 && isKept(type, bodyLength)) {
      const own = this.#store.takeSmall(bodyLength);
      own.set(body);
      body = own;
    }
    this.#complete(type, head.id, body, undefined);
    return true;
  }

  place(head: FrameHead): Buffer | undefined {
    const type = head.type & ~CORRELATED;
    let assembly: Assembly | undefined;
    if (type === head.type) {
      assembly = this.#begin(head, type, this.#admitBase(type));
      if (assembly.skip === 'overloaded') {
        throw new ExoError('overloaded', `no memory for a body of ${head.total} bytes`, { retryable: true });
      }
    } else {
      if (head.total > typeLimitBytes(type)) throw tooLarge(head.total, typeLimitBytes(type));
      assembly = this.#assembler.find(head, type);
      if ((head.flags & FLAG_ABANDON) !== 0) {
        this.#assembler.abandon(head, type);
        return undefined;
      }
      assembly ??= this.#begin(head, type, this.#admitCorrelated(type, head.id));
    }
    this.#current = assembly;
    const { buffer, filled } = assembly;
    return buffer?.length === head.bodyLength ? buffer : buffer?.subarray(filled, filled + head.bodyLength);
  }

  frame(head: FrameHead): void {
    const assembly = this.#current;
    this.#current = undefined;
    // without a message: the frame that abandoned one
    if (assembly === undefined) return;
    const type = head.type & ~CORRELATED;
    if (!this.#assembler.advance(assembly, head, type)) return;
    const id = type === head.type ? undefined : head.id;
    if (assembly.buffer === undefined) this.#skipped(assembly, type, id);
    else this.#complete(type, id, assembly.buffer, assembly.held);
  }

  // ------------------------------------------------------------------ what is allowed

  #stateLimitBytes(): number {
    if (this.#session.state === 'fresh') return LIMITS.freshFrameBytesMax;
    if (this.#session.state === 'established' || this.#session.trusted) return LIMITS.legacyFrameBytesMax;
    return LIMITS.legacyStrangerFrameBytesMax;
  }

  /** Base requests come from the dialler, base answers from the acceptor. */
  #admitBase(type: number): SkipReason | undefined {
    if (this.#session.role === 'dialler') {
      const expected = this.#session.expectedAnswer(undefined);
      if (expected === type) return undefined;
      throw new ExoError(
        'protocol-violation',
        `a frame of type 0x${type.toString(16)} where ${expected === undefined ? 'none' : `0x${expected.toString(16)}`} was expected`,
      );
    }
    if (isKnownType(type) && !isAnswerType(type)) {
      if (mayUse(this.#session.access, type)) return undefined;
      throw new ExoError(
        'auth-required',
        `type 0x${type.toString(16)} is for trusted nodes only: a mesh key is set, and this address is not in --allow-legacy`,
      );
    }
    // as the original: a type of the list that means nothing here is ignored
    this.#session.becomeLegacy();
    return 'silent';
  }

  #admitCorrelated(type: number, id: number): SkipReason | undefined {
    if (isAnswerType(type)) {
      const expected = id === 0 ? undefined : this.#session.expectedAnswer(id);
      if (expected === undefined) return 'silent';
      if (expected === type || type === TYPE.errorResponse) return undefined;
      throw new ExoError(
        'protocol-violation',
        `an answer of type 0x${type.toString(16)} to another question`,
      );
    }
    if (!isKnownType(type) || (id !== 0 && isOneWayType(type))) return 'request-unsupported';
    if (!mayUse(this.#session.access, type)) return 'auth-required';
    const always = type === TYPE.healthRequest || type === TYPE.goodbye;
    return always || this.#session.hasRoom ? undefined : 'overloaded';
  }

  #begin(head: FrameHead, type: number, skip: SkipReason | undefined): Assembly {
    const budgetClass: BudgetClass = this.#session.state === 'established' ? 'established' : 'legacy';
    return this.#assembler.begin(head, type, skip, budgetClass, this.#nowMs, this.#bytesIn);
  }

  #skipped(assembly: Assembly, type: number, id: number | undefined): void {
    if (id === undefined || assembly.skip === 'silent') return;
    const error = refusal(assembly.skip, type);
    if (id === 0) this.#session.dropped(error);
    else if (isAnswerType(type)) this.#session.answerLost(id, error);
    else this.#session.answerError(id, error);
  }

  // ------------------------------------------------------------------ complete messages

  #complete(type: number, id: number | undefined, body: Buffer, held: Held | undefined): void {
    let message: Message;
    try {
      message = this.#messages.decode(type, body);
    } catch (error) {
      if (held !== undefined) this.#store.giveBack(held, true);
      if (error instanceof ExoError && error.code === 'version-mismatch') {
        this.#session.refuse(error, id);
        return;
      }
      throw error;
    }
    if (isAnswerType(type)) {
      // whoever asked now owns the bytes
      if (held !== undefined) this.#store.giveBack(held, false);
      this.#session.answered(id, message);
    } else {
      this.#session.incoming(
        message,
        type,
        id,
        held === undefined ? undefined : this.#giver(message, id, held),
      );
    }
  }

  /** Gives the body back when its handler is done; an answer may still show the same memory to the socket. */
  #giver(
    message: Message,
    id: number | undefined,
    held: Held,
  ): ((answer: Message | undefined) => void) | undefined {
    if (bytesOf(message) === undefined) {
      this.#store.giveBack(held, true);
      return undefined;
    }
    return (answer) => {
      const shown = answer !== undefined && bytesOf(answer)?.buffer === held.buffer.buffer;
      this.#store.giveBack(held, !shown);
      // a base answer may still wait for its turn, and then nothing tells when it has left
      if (shown && id !== undefined && this.#shown.length < LIMITS.bodiesShownMax)
        this.#shown.push(held.buffer);
    };
  }
}

/** Why a message was thrown away, for its sender. */
function refusal(skip: SkipReason | undefined, type: number): ExoError {
  const name = `type 0x${type.toString(16)}`;
  switch (skip) {
    case 'overloaded':
      return new ExoError('overloaded', 'no memory or no room for this now', { retryable: true });
    case 'auth-required':
      return new ExoError('auth-required', `${name} is for nodes that are trusted here`);
    default:
      return new ExoError('request-unsupported', `${name} cannot be asked for here`);
  }
}

function tooLarge(length: number, limit: number): ExoError {
  return new ExoError(
    'frame-too-large',
    `a length of ${length} bytes is announced; ${limit} are allowed now`,
  );
}
