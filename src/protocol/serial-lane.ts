/**
 * The lane of base requests, which has strictly one outstanding: an old peer's answers carry no id. Deadlines are looked at
 * when the session ticks. Sans-I/O; only `requester.ts` uses it.
 */
import { ExoError, LIMITS } from '../shared/index.js';
import type { PendingRequest } from './pending-requests.js';

/** Base requests of the dialling side: the other end takes any frame for the answer to the one it has. */
export class SerialLane {
  #current: PendingRequest | undefined;
  #queue: PendingRequest[] = [];

  get size(): number {
    return this.#queue.length + (this.#current === undefined ? 0 : 1);
  }

  /** The first deadline. */
  get earliestMs(): number {
    const earliest = this.#current?.deadlineMs ?? Number.POSITIVE_INFINITY;
    return this.#queue.reduce((least, { deadlineMs }) => Math.min(least, deadlineMs), earliest);
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
