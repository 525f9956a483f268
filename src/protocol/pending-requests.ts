/**
 * Requests that wait for their answer: those with correlation ids, and the lane of base requests, which has strictly
 * one outstanding. Deadlines are looked at when the session ticks; there is no timer per request. Sans-I/O.
 */
import { ExoError, LIMITS } from '../shared/index.js';
import type { Message } from './messages.js';
import type { BulkMessage } from './outbox.js';

/** One request, from the call to its answer. */
export interface PendingRequest {
  readonly message: Message;
  /** Type of the answer, without bit 7. */
  readonly answerType: number;
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly resolve: (answer: Message) => void;
  readonly reject: (error: ExoError) => void;
  /** Correlation id; 0 on the base lane. */
  id: number;
  /** What is still being sent of it. */
  bulk?: BulkMessage | undefined;
  /** The caller has its answer (a timeout or a cancellation); the real one is dropped. */
  settled?: boolean;
}

/** The error of a deadline that passed. */
export function timeoutError(request: PendingRequest): ExoError {
  return new ExoError(
    'request-timeout',
    `no answer to ${request.message.kind} within ${request.timeoutMs} ms`,
    {
      retryable: true,
    },
  );
}

/** Requests in flight by correlation id. */
export class PendingRequests {
  readonly #byId = new Map<number, PendingRequest>();
  #lastId = 0;

  get size(): number {
    return this.#byId.size;
  }

  /** Gives the request an id that no other pending one has. Throws `overloaded` at the limit. */
  add(request: PendingRequest): number {
    if (this.#byId.size >= LIMITS.requestsInFlightPerConnection) {
      throw new ExoError('overloaded', `${this.#byId.size} requests are already waiting on this connection`, {
        retryable: true,
      });
    }
    do {
      this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1;
    } while (this.#byId.has(this.#lastId));
    request.id = this.#lastId;
    this.#byId.set(request.id, request);
    return request.id;
  }

  get(id: number): PendingRequest | undefined {
    return this.#byId.get(id);
  }

  /** Removes a request; undefined when its id is unknown (a late answer). */
  take(id: number): PendingRequest | undefined {
    const request = this.#byId.get(id);
    if (request !== undefined) this.#byId.delete(id);
    return request;
  }

  /** Removes a request that the caller gave up; false when it is not there any more. */
  drop(request: PendingRequest): boolean {
    return this.#byId.get(request.id) === request && this.#byId.delete(request.id);
  }

  /** Removes and returns those whose deadline has passed. */
  expire(nowMs: number): PendingRequest[] {
    const late: PendingRequest[] = [];
    for (const [id, request] of this.#byId) {
      if (request.deadlineMs > nowMs) continue;
      this.#byId.delete(id);
      late.push(request);
    }
    return late;
  }

  /** Rejects everything. */
  clear(error: ExoError): void {
    for (const request of this.#byId.values()) request.reject(error);
    this.#byId.clear();
  }
}

/** Base requests of the dialling side: the other end takes any frame for the answer to the one it has. */
export class SerialLane {
  #current: PendingRequest | undefined;
  #queue: PendingRequest[] = [];

  get size(): number {
    return this.#queue.length + (this.#current === undefined ? 0 : 1);
  }

  /** The request whose answer comes next. */
  get current(): PendingRequest | undefined {
    return this.#current;
  }

  /** Queues a request. Throws `overloaded` at the limit. */
  add(request: PendingRequest): void {
    if (this.#queue.length >= LIMITS.serialQueuePerConnection) {
      throw new ExoError('overloaded', 'an old peer takes one request at a time, and the queue is full', {
        retryable: true,
      });
    }
    this.#queue.push(request);
  }

  /** The next request to send, when none is outstanding; it becomes the current one. */
  next(): PendingRequest | undefined {
    if (this.#current !== undefined) return undefined;
    this.#current = this.#queue.shift();
    return this.#current;
  }

  /** The answer to the current one is there. */
  done(): PendingRequest | undefined {
    const request = this.#current;
    this.#current = undefined;
    return request;
  }

  /** Removes a request that is not sent yet; false for the current one, whose answer must be waited for. */
  drop(request: PendingRequest): boolean {
    const index = this.#queue.indexOf(request);
    if (index >= 0) this.#queue.splice(index, 1);
    return index >= 0;
  }

  /** Removes and returns queued requests whose deadline has passed (never the current one). */
  expire(nowMs: number): PendingRequest[] {
    const late = this.#queue.filter((request) => request.deadlineMs <= nowMs);
    if (late.length > 0) this.#queue = this.#queue.filter((request) => request.deadlineMs > nowMs);
    return late;
  }

  /** Rejects everything. */
  clear(error: ExoError): void {
    const current = this.done();
    if (current !== undefined && current.settled !== true) current.reject(error);
    for (const request of this.#queue) request.reject(error);
    this.#queue = [];
  }
}
