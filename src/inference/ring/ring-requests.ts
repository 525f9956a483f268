/**
 * The requests that a node works on: bounded, forgotten when nothing is heard of them, and with a memory of those that
 * ended early, so that a tensor that was still on its way does not begin them anew.
 */
import {
  BoundedMap,
  type Clock,
  type ErrorCode,
  ExoError,
  LIMITS,
  type TimerHandle,
} from '../../shared/index.js';
import type { RingRequest } from './ring-request.js';

/** Why a request ended, without the error itself: its stack holds whatever was at work when it was made. */
interface Ending {
  readonly atMs: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}

/** Table of requests by id. */
export class RingRequests {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #onExpired: (request: RingRequest) => void;
  readonly #requests = new Map<string, RingRequest>();
  readonly #timers = new Map<string, TimerHandle>();
  readonly #ended = new BoundedMap<string, Ending>(LIMITS.ringEndedKept);

  /** `idleMs`: silence after which `onExpired` is called for a request. */
  constructor(options: { readonly idleMs: number }, clock: Clock, onExpired: (request: RingRequest) => void) {
    this.#idleMs = options.idleMs;
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  get size(): number {
    return this.#requests.size;
  }

  get(requestId: string): RingRequest | undefined {
    return this.#requests.get(requestId);
  }

  all(): readonly RingRequest[] {
    return [...this.#requests.values()];
  }

  /** Throws `overloaded` when the table is full. The id must be new. */
  add(request: RingRequest): void {
    if (this.#requests.size >= LIMITS.ringRequestsMax) {
      throw new ExoError(
        'overloaded',
        `this node works on ${this.#requests.size} requests already; try again later`,
        {
          retryable: true,
        },
      );
    }
    this.#requests.set(request.requestId, request);
    this.#ended.delete(request.requestId);
    this.touch(request);
    this.#watch(request, this.#idleMs);
  }

  /** Something happened for this request. */
  touch(request: RingRequest): void {
    request.activeAtMs = this.#clock.now();
  }

  remove(requestId: string): RingRequest | undefined {
    const request = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    this.#timers.get(requestId)?.cancel();
    this.#timers.delete(requestId);
    return request;
  }

  /** Messages of this id are refused with `reason` from now on, for as long as one may be on its way. */
  bury(requestId: string, { code, message, retryable }: ExoError): void {
    this.#ended.set(requestId, { atMs: this.#clock.now(), code, message, retryable });
  }

  /** Why messages of this id are refused, if they are. */
  buried(requestId: string): ExoError | undefined {
    const ended = this.#ended.get(requestId);
    if (ended === undefined) return undefined;
    const { atMs, code, message, retryable } = ended;
    if (this.#clock.now() - atMs < LIMITS.ringHopTimeoutMs) return new ExoError(code, message, { retryable });
    this.#ended.delete(requestId);
    return undefined;
  }

  #watch(request: RingRequest, delayMs: number): void {
    const timer = this.#clock.after(delayMs, () => {
      const leftMs = request.activeAtMs + this.#idleMs - this.#clock.now();
      if (leftMs > 0) this.#watch(request, leftMs);
      else this.#onExpired(request);
    });
    this.#timers.set(request.requestId, timer);
  }
}
