/**
 * One conversation with one peer: bytes and ticks in, frames (in the outbox) and calls to its host out. Sans-I/O: no
 * socket, no timer, no clock. `connection.ts` is its only owner; states are in `session-state.ts`, what is being received in
 * `inbound.ts`, what this side asks in `requester.ts`, handlers at work in `responder.ts`.
 */
import { ExoError, LIMITS, toExoError } from '../shared/index.js';
import type { AccessLevel } from './access.js';
import type { ConnectionRole, ConnectionState } from './connection-api.js';
import { isAnswerType, isBaseType, isOneWayType, TYPE, TYPE_OF_KIND } from './frame.js';
import { Inbound } from './inbound.js';
import type { Hello } from './messages/hello.js';
import type { Message } from './messages/messages.js';
import { type BulkMessage, Outbox } from './outbox.js';
import { encodeChecked, HEALTHY, laneOf } from './outgoing.js';
import type { PendingRequest } from './pending-requests.js';
import { Requester } from './requester.js';
import { Responder } from './responder.js';
import type { SessionCore, SessionHost, SessionOptions } from './session-core.js';
import { transition } from './session-state.js';

/** The protocol of one connection. */
export class Session implements SessionCore {
  readonly outbox: Outbox;
  readonly role: ConnectionRole;
  readonly trusted: boolean;
  /** What the other end may say. */
  #access: AccessLevel;
  /** What the other side said of itself. */
  hello: Hello | undefined;
  /** What it said before it left. */
  goodbye: 'stopping' | 'duplicate' | undefined;
  readonly #host: SessionHost;
  readonly #inbound: Inbound;
  readonly #responder: Responder;
  readonly #requester: Requester;
  #state: ConnectionState = 'fresh';
  #ownHello: Hello | undefined;

  constructor(options: SessionOptions, host: SessionHost) {
    this.role = options.role;
    this.trusted = options.trusted;
    this.#access = options.access ?? 'member';
    this.#host = host;
    this.outbox = new Outbox(options.slabs.frames);
    this.#requester = new Requester(this, host);
    this.#responder = new Responder(this, host);
    this.#inbound = new Inbound(this, options);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** What the other end may say: raised and lowered by `grant`. */
  get access(): AccessLevel {
    return this.#access;
  }

  /** Whether bytes that came are kept until the other end's proofs are judged. */
  get isHeld(): boolean {
    return this.#inbound.isHeld;
  }

  /** Requests sent and not yet answered. */
  get pending(): number {
    return this.#requester.size;
  }

  /** Requests received and not yet answered. */
  get serving(): number {
    return this.#responder.serving;
  }

  get bytesIn(): number {
    return this.#inbound.bytesIn;
  }

  get framesIn(): number {
    return this.#inbound.framesIn;
  }

  /** Whether time matters now: without this, `tick` need not be called. */
  get needsTick(): boolean {
    return this.pending > 0 || this.#inbound.needsTick;
  }

  /** Until then `tick` has nothing to do; 0: it is to look again and again. */
  get nextTickMs(): number {
    return this.#inbound.needsTick ? 0 : this.#requester.earliestMs;
  }

  /** Takes bytes. Throws an `ExoError` when the connection must be closed. */
  receive(chunk: Buffer, nowMs: number): void {
    if (this.#state !== 'closed') this.#inbound.receive(chunk, nowMs);
  }

  /** Its proofs are judged, and this is what it may say. Returns what came behind them, which is to be received now. */
  grant(access: AccessLevel): Buffer | undefined {
    this.#access = access;
    return this.#inbound.release();
  }

  /** Looks at deadlines. Throws an `ExoError` when the connection must be closed. */
  tick(nowMs: number): void {
    if (this.#state === 'closed') return;
    this.#requester.tick(nowMs);
    this.#inbound.tick(nowMs);
  }

  /**
   * Sends a request; `resolve` or `reject` is called once. Returns what `cancel` takes. One-way kinds (and, to an old peer,
   * prompts) resolve as soon as they are queued: a prompt to `prompt-response`, the others to themselves.
   */
  request(
    message: Message,
    nowMs: number,
    timeoutMs: number,
    resolve: (answer: Message) => void,
    reject: (error: ExoError) => void,
  ): PendingRequest | undefined {
    return this.#requester.request(message, nowMs, timeoutMs, resolve, reject);
  }

  /** Gives a request up; its answer is dropped when it comes. */
  cancel(request: PendingRequest, error: ExoError): void {
    this.#requester.cancel(request, error);
  }

  /** Sends without waiting. False when it cannot be sent on this connection, or would be answered. */
  notify(message: Message): boolean {
    try {
      const type = TYPE_OF_KIND[message.kind];
      const correlated = this.checkOutgoing(message, type);
      if (!correlated && !isOneWayType(type) && type !== TYPE.prompt) return false;
      this.send(message, correlated ? 0 : undefined);
      return true;
    } catch {
      return false;
    }
  }

  /** Queues a message as it is; `id` undefined makes a base frame. */
  send(message: Message, id: number | undefined): BulkMessage | undefined {
    if (this.#state === 'closed') return undefined;
    const type = TYPE_OF_KIND[message.kind];
    const body = encodeChecked(message, type, id !== undefined);
    let bulk: BulkMessage | undefined;
    if (id === undefined) this.outbox.addBase(type, body);
    else bulk = this.outbox.addCorrelated(type, id, body, laneOf(type));
    this.#host.wake();
    return bulk;
  }

  /** As `Outbox.pull`; what waited for room is queued behind. */
  pull(chunks: Uint8Array[], roomBytes: number): number {
    const bytes = this.outbox.pull(chunks, roomBytes);
    this.#requester.admit();
    return bytes;
  }

  /** Everything that was pulled from the outbox has left, and nothing waits there. */
  sent(): void {
    this.outbox.sent();
    this.#inbound.sent();
  }

  /** Ends everything: requests are rejected, memory is given back. The outbox stays as it is. */
  close(error: ExoError): void {
    if (this.#state === 'closed') return;
    this.#state = transition(this.#state, 'closed');
    this.#inbound.close();
    this.#requester.close(error);
  }

  // ------------------------------------------------------------------ called by inbound.ts

  /** Anything of the base protocol came that is no hello. */
  becomeLegacy(): void {
    if (this.#state === 'fresh') this.#state = transition(this.#state, 'legacy');
  }

  /** The answer type that is expected for an id, or undefined when nobody waits. */
  expectedAnswer(id: number | undefined): number | undefined {
    return this.#requester.expectedAnswer(id);
  }

  /** Whether another request can be served. */
  get hasRoom(): boolean {
    return this.serving < LIMITS.requestsInFlightPerConnection;
  }

  /** An answer is complete. */
  answered(id: number | undefined, answer: Message): void {
    this.#requester.answered(id, answer);
    // The other end has judged this one, and uses the connection: nothing that it says is refused by what it might say before.
    if (answer.kind === 'auth-response') this.#inbound.hold();
  }

  /** An answer could not be kept. */
  answerLost(id: number, error: ExoError): void {
    this.#requester.answerLost(id, error);
  }

  /** A request or one-way message is complete. `done` gives its body back. */
  incoming(
    message: Message,
    type: number,
    id: number | undefined,
    done: ((answer: Message | undefined) => void) | undefined,
  ): void {
    if (message.kind === 'health-request') {
      if (message.hello === undefined) this.becomeLegacy();
      if (message.hello === undefined) this.#responder.health(id, HEALTHY);
      else this.#greet(message.hello, id);
      return;
    }
    this.becomeLegacy();
    if (message.kind === 'goodbye') this.goodbye = message.reason;
    this.#responder.serve(message, type, id, done);
  }

  /** Tells the other side why its hello is not accepted, and ends the session. */
  refuse(error: ExoError, id: number | undefined): void {
    const refusal = { code: error.code, message: error.message };
    this.#responder.health(id, {
      kind: 'health-response',
      isHealthy: false,
      refusal,
    });
    this.#host.end({ by: 'local', error });
  }

  /** A message that is never answered was thrown away: nobody but the own log hears of it. */
  dropped(error: ExoError): void {
    this.#host.onDropped(error);
  }

  /** Answers a correlated request with an error. */
  answerError(id: number, error: ExoError): void {
    const { code, retryable } = error;
    const message = error.message.slice(0, LIMITS.errorTextCharsMax);
    this.send({ kind: 'error-response', code, message, retryable }, id);
  }

  // ------------------------------------------------------------------ hello

  #greet(hello: Hello, id: number | undefined): void {
    try {
      const { hello: first } = this;
      // Whoever was let in by one name does not take another.
      if (first !== undefined && (first.nodeId !== hello.nodeId || first.instance !== hello.instance)) {
        throw new ExoError('protocol-violation', `a second hello, of another node than "${first.nodeId}"`);
      }
      this.#ownHello ??= this.#host.onHello(hello);
    } catch (error) {
      this.refuse(toExoError(error), id);
      return;
    }
    this.#agree(this.#ownHello, hello);
    this.#responder.health(id, {
      kind: 'health-response',
      isHealthy: true,
      hello: this.#ownHello,
    });
  }

  #agree(own: Hello, theirs: Hello): void {
    this.hello = theirs;
    const correlated = own.features.includes('correlated') && theirs.features.includes('correlated');
    if (correlated) this.#state = transition(this.#state, 'established');
    else this.becomeLegacy();
  }

  // ------------------------------------------------------------------ called by requester.ts

  /** A hello was answered, with the other side's or (an old peer) without one. */
  introduced(own: Hello, theirs: Hello | undefined): void {
    if (theirs === undefined) this.becomeLegacy();
    else this.#agree(own, theirs);
  }

  /** Whether the message goes correlated. Throws when this connection cannot take it. */
  checkOutgoing(message: Message, type: number): boolean {
    if (this.#state === 'closed') throw new ExoError('connection-closed', 'the connection is closed');
    if (isAnswerType(type)) throw new ExoError('internal', `a ${message.kind} is not a request`);
    const greeting = message.kind === 'health-request' && message.hello !== undefined;
    if (this.#state === 'established' && !greeting) return true;
    if (this.role === 'acceptor') {
      throw new ExoError(
        'not-on-this-connection',
        'an old peer takes no request on a connection that it opened; dial it',
      );
    }
    if (!isBaseType(type)) {
      throw new ExoError('request-unsupported', `an old peer does not know ${message.kind}`);
    }
    if (!greeting) this.becomeLegacy();
    return false;
  }
}
