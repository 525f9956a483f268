/**
 * What this side asks: gives a request its id or its place in the lane, sends it, finds its answer, watches its deadline.
 * Sans-I/O; only `session.ts` uses it. The other direction is `responder.ts`.
 */
import { ExoError, LIMITS } from '../shared/index.js';
import { BulkLine } from './bulk-line.js';
import { isOneWayType, TYPE, TYPE_OF_KIND } from './frame.js';
import type { EncodedBody } from './messages/message-encoder.js';
import type { HealthRequest, HealthResponse, Message } from './messages/messages.js';
import { encodeChecked, laneOf, remoteError } from './outgoing.js';
import { type PendingRequest, PendingRequests, timeoutError } from './pending-requests.js';
import { SerialLane } from './serial-lane.js';
import type { SessionCore, SessionHost } from './session-core.js';

/** Requests of one session. */
export class Requester {
  readonly #session: SessionCore;
  readonly #host: SessionHost;
  readonly #pending = new PendingRequests();
  readonly #lane = new SerialLane();
  readonly #line = new BulkLine();
  #earliestMs = Number.POSITIVE_INFINITY;

  constructor(session: SessionCore, host: SessionHost) {
    this.#session = session;
    this.#host = host;
  }

  /** Requests not yet answered. */
  get size(): number {
    return this.#pending.size + this.#lane.size + this.#line.size;
  }

  /** No deadline passes before. */
  get earliestMs(): number {
    return this.#earliestMs;
  }

  /** As `Session.request`. */
  request(
    message: Message,
    nowMs: number,
    timeoutMs: number,
    resolve: (answer: Message) => void,
    reject: (error: ExoError) => void,
  ): PendingRequest | undefined {
    try {
      const type = TYPE_OF_KIND[message.kind];
      const correlated = this.#session.checkOutgoing(message, type);
      if (isOneWayType(type) || (type === TYPE.prompt && !correlated)) {
        this.#session.send(message, correlated ? 0 : undefined);
        resolve(type === TYPE.prompt ? { kind: 'prompt-response' } : message);
        return undefined;
      }
      const deadlineMs = nowMs + timeoutMs;
      this.#earliestMs = this.size === 0 ? deadlineMs : Math.min(this.#earliestMs, deadlineMs);
      const request: PendingRequest = {
        message,
        answerType: type + 1,
        deadlineMs,
        timeoutMs,
        resolve,
        reject,
        id: 0,
        bulk: undefined,
        settled: false,
      };
      if (correlated) this.#queue(request, type, encodeChecked(message, type, true));
      else {
        this.#lane.add(request);
        this.#pump();
      }
      return request;
    } catch (error) {
      reject(error as ExoError);
      return undefined;
    }
  }

  /** As `Session.cancel`. */
  cancel(request: PendingRequest, error: ExoError): void {
    if (request.settled === true) return;
    if (this.#pending.drop(request)) this.#abandon(request);
    else if (!this.#line.drop(request) && !this.#lane.drop(request)) {
      if (this.#lane.current !== request) return;
      request.settled = true;
    }
    request.reject(error);
  }

  /** Looks at deadlines. Throws when the connection must be closed. */
  tick(nowMs: number): void {
    if (nowMs < this.#earliestMs) return;
    try {
      this.#expire(nowMs);
    } finally {
      this.#earliestMs = Math.min(this.#pending.earliestMs, this.#lane.earliestMs, this.#line.earliestMs);
    }
  }

  #expire(nowMs: number): void {
    for (const request of this.#pending.expire(nowMs)) {
      this.#abandon(request);
      request.reject(timeoutError(request));
    }
    for (const request of this.#line.expire(nowMs)) request.reject(timeoutError(request));
    for (const request of this.#lane.expire(nowMs)) request.reject(timeoutError(request));
    const current = this.#lane.current;
    if (current === undefined || current.deadlineMs > nowMs) return;
    this.#lane.done();
    const error = timeoutError(current);
    if (current.settled !== true) current.reject(error);
    // the answer may still come, and nothing would tell it from the next one
    throw error;
  }

  /** The outbox has become emptier: what waited for room may go. */
  admit(): void {
    while (this.#line.size > 0 && this.#session.outbox.hasRoom) {
      const { request, type, body } = this.#line.next()!;
      try {
        this.#send(request, type, body);
      } catch (error) {
        request.reject(error as ExoError);
      }
    }
  }

  /** The answer type that is expected for an id, or undefined when nobody waits. */
  expectedAnswer(id: number | undefined): number | undefined {
    return (id === undefined ? this.#lane.current : this.#pending.get(id))?.answerType;
  }

  /** An answer is complete. */
  answered(id: number | undefined, answer: Message): void {
    const request = id === undefined ? this.#lane.done() : this.#pending.take(id);
    if (id === undefined) this.#pump();
    if (request === undefined || request.settled === true) return;
    if (answer.kind === 'error-response') request.reject(remoteError(answer));
    else if (answer.kind === 'health-response' && request.message.kind === 'health-request') {
      this.#introduced(request, request.message, answer);
    } else request.resolve(answer);
  }

  /** An answer could not be kept. */
  answerLost(id: number, error: ExoError): void {
    this.#pending.take(id)?.reject(error);
  }

  /** Rejects everything. */
  close(error: ExoError): void {
    this.#pending.clear(error);
    this.#line.clear(error);
    this.#lane.clear(error);
  }

  #introduced(request: PendingRequest, asked: HealthRequest, answer: HealthResponse): void {
    if (answer.refusal !== undefined) {
      const { code, message } = answer.refusal;
      const error = remoteError({ code, message, retryable: false });
      request.reject(error);
      this.#host.end({ by: 'remote', error });
      return;
    }
    if (asked.hello !== undefined) this.#session.introduced(asked.hello, answer.hello);
    request.resolve(answer);
  }

  #queue(request: PendingRequest, type: number, body: EncodedBody): void {
    const { outbox } = this.#session;
    if (!outbox.isBulk(body) || (outbox.hasRoom && this.#line.size === 0)) {
      this.#send(request, type, body);
      return;
    }
    if (this.size >= LIMITS.requestsInFlightPerConnection) {
      throw new ExoError('overloaded', `${this.size} requests are already waiting on this connection`, {
        retryable: true,
      });
    }
    this.#line.add({ request, type, body });
  }

  #send(request: PendingRequest, type: number, body: EncodedBody): void {
    const id = this.#pending.add(request);
    request.bulk = this.#session.outbox.addCorrelated(type, id, body, laneOf(type));
    this.#host.wake();
  }

  /** Sends the next base request if none is outstanding. */
  #pump(): void {
    for (let next = this.#lane.next(); next !== undefined; next = this.#lane.next()) {
      try {
        this.#session.send(next.message, undefined);
      } catch (error) {
        this.#lane.done();
        next.reject(error as ExoError);
      }
    }
  }

  #abandon(request: PendingRequest): void {
    if (request.bulk === undefined) return;
    this.#session.outbox.abandon(request.bulk);
    this.admit();
    this.#host.wake();
  }
}
