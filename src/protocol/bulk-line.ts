/**
 * Requests with large bodies that wait until the outbox has room for them, first in, first out: what is in the outbox cannot be
 * taken back without telling the other side, and it counts against the connection. Sans-I/O; only `requester.ts` uses it.
 */
import type { ExoError } from '../shared/index.js';
import type { EncodedBody } from './messages/message-encoder.js';
import type { PendingRequest } from './pending-requests.js';

/** One request that is ready to be sent. */
export interface WaitingRequest {
  readonly request: PendingRequest;
  readonly type: number;
  readonly body: EncodedBody;
}

/** A queue; its owner bounds it. */
export class BulkLine {
  #waiting: WaitingRequest[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  /** The first deadline. */
  get earliestMs(): number {
    return this.#waiting.reduce(
      (least, { request }) => Math.min(least, request.deadlineMs),
      Number.POSITIVE_INFINITY,
    );
  }

  add(waiting: WaitingRequest): void {
    this.#waiting.push(waiting);
  }

  /** Takes the oldest. */
  next(): WaitingRequest | undefined {
    return this.#waiting.shift();
  }

  /** Removes a request; false when it does not wait here. */
  drop(request: PendingRequest): boolean {
    const index = this.#waiting.findIndex((waiting) => waiting.request === request);
    if (index >= 0) this.#waiting.splice(index, 1);
    return index >= 0;
  }

  /** Removes and returns those whose deadline has passed. */
  expire(nowMs: number): PendingRequest[] {
    if (this.#waiting.length === 0) return [];
    const late = this.#waiting.filter(({ request }) => request.deadlineMs <= nowMs);
    if (late.length > 0) this.#waiting = this.#waiting.filter(({ request }) => request.deadlineMs > nowMs);
    return late.map(({ request }) => request);
  }

  /** Rejects everything. */
  clear(error: ExoError): void {
    const all = this.#waiting;
    this.#waiting = [];
    for (const { request } of all) request.reject(error);
  }
}
