/**
 * Requests that wait for their answer by correlation id (base requests: `serial-lane.ts`). Deadlines are looked at when the
 * session ticks; there is no timer per request. Sans-I/O.
 */
import { ExoError, LIMITS } from '../shared/index.js';
import type { Message } from './messages/messages.js';
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

/** Ids are u32, and 0 is one-way. */
const ID_MAX = 0xffff_ffff;
/** Slots of a connection that has asked something; most never need more. */
const SLOTS_MIN = 16;

/**
 * Requests in flight by correlation id. A request sits in the slot of its id's low bits: unlike a Map, which a steady
 * flow of new ids would make anew again and again, this costs no memory per request.
 */
export class PendingRequests {
  /** As many as a power of two, at least twice `#size`. */
  #slots: Array<PendingRequest | undefined> = [];
  #size = 0;
  #lastId = 0;

  get size(): number {
    return this.#size;
  }

  /** Gives the request an id that no other pending one has. Throws `overloaded` at the limit. */
  add(request: PendingRequest): number {
    if (this.#size >= LIMITS.requestsInFlightPerConnection) {
      throw new ExoError('overloaded', `${this.#size} requests are already waiting on this connection`, {
        retryable: true,
      });
    }
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const slots = this.#slots;
    const mask = slots.length - 1;
    let id = this.#lastId;
    do id = id >= ID_MAX ? 1 : id + 1;
    while (slots[id & mask] !== undefined);
    this.#lastId = id;
    slots[id & mask] = request;
    this.#size += 1;
    request.id = id;
    return id;
  }

  get(id: number): PendingRequest | undefined {
    const request = this.#slots[id & (this.#slots.length - 1)];
    return request?.id === id ? request : undefined;
  }

  /** Removes a request; undefined when its id is unknown (a late answer). */
  take(id: number): PendingRequest | undefined {
    const request = this.get(id);
    if (request !== undefined) this.#remove(request);
    return request;
  }

  /** Removes a request that the caller gave up; false when it is not there any more. */
  drop(request: PendingRequest): boolean {
    if (this.get(request.id) !== request) return false;
    this.#remove(request);
    return true;
  }

  /** The first deadline. */
  get earliestMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const request of this.#slots) {
      if (request !== undefined) earliest = Math.min(earliest, request.deadlineMs);
    }
    return earliest;
  }

  /** Removes and returns those whose deadline has passed. */
  expire(nowMs: number): PendingRequest[] {
    const late: PendingRequest[] = [];
    for (const request of this.#slots) {
      if (request !== undefined && request.deadlineMs <= nowMs) late.push(request);
    }
    for (const request of late) this.#remove(request);
    return late;
  }

  /** Rejects everything. */
  clear(error: ExoError): void {
    const all = this.#slots;
    this.#slots = [];
    this.#size = 0;
    for (const request of all) request?.reject(error);
  }

  #remove(request: PendingRequest): void {
    this.#slots[request.id & (this.#slots.length - 1)] = undefined;
    this.#size -= 1;
  }

  /** Ids that differ in their low bits still do when one more bit counts. */
  #grow(): void {
    const before = this.#slots;
    const length = Math.max(SLOTS_MIN, before.length * 2);
    this.#slots = new Array<PendingRequest | undefined>(length).fill(undefined);
    for (const request of before) {
      if (request !== undefined) this.#slots[request.id & (length - 1)] = request;
    }
  }
}
