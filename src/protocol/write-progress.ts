/**
 * Whether the other side takes what is written to it: not at all (the path is dead, or it does not read), or so slowly that
 * the queue never empties. Looked at once a tick, so that no write has to ask for the time. Only `connection.ts` uses it.
 */
import { ExoError, LIMITS } from '../shared/index.js';

/** Of one stream. */
export class WriteProgress {
  readonly #remote: string;
  #moved = false;
  #movedAtMs: number;
  #unsentSeen = 0;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  /** Since when the queue has been long, and how many bytes had been taken then. */
  #longSinceMs: number | undefined;
  #takenThen = 0;

  constructor(nowMs: number, remote: string) {
    this.#movedAtMs = nowMs;
    this.#remote = remote;
  }

  /** The stream took bytes, or had nothing left. */
  moved(): void {
    this.#moved = true;
  }

  /** Everything was taken, and nothing waits: the next long queue is another one. */
  emptied(): void {
    this.#longSinceMs = undefined;
  }

  /** The other side said something. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /**
   * `bytesOut` were ever given to the stream, `unsentBytes` of them not taken by the system; `queuedBytes` wait behind them.
   * Throws `connection-closed` when bytes have waited for `LIMITS.stalledWriteMs` and none was taken, `slow-peer` where the other
   * side is known to live or much is waiting, and when a long queue was drained too slowly for `LIMITS.slowPeerMs`.
   */
  check(unsentBytes: number, queuedBytes: number, bytesOut: number, nowMs: number): void {
    if (this.#moved || unsentBytes === 0 || unsentBytes < this.#unsentSeen) this.#movedAtMs = nowMs;
    this.#moved = false;
    this.#unsentSeen = unsentBytes;
    const isLong = queuedBytes > LIMITS.sendQueueBytesSoft;
    if (nowMs - this.#movedAtMs >= LIMITS.stalledWriteMs) {
      if (isLong || this.#heardAtMs >= this.#movedAtMs)
        throw this.#slow('no byte', queuedBytes + unsentBytes);
      throw new ExoError(
        'connection-closed',
        `${this.#remote} has taken no byte for ${LIMITS.stalledWriteMs} ms; the path is dead`,
        { retryable: true },
      );
    }
    if (isLong) this.#checkRate(bytesOut - unsentBytes, queuedBytes + unsentBytes, nowMs);
    else this.#longSinceMs = undefined;
  }

  #checkRate(taken: number, waitingBytes: number, nowMs: number): void {
    if (this.#longSinceMs !== undefined && nowMs - this.#longSinceMs < LIMITS.slowPeerMs) return;
    if (this.#longSinceMs !== undefined) {
      const perSecond = ((taken - this.#takenThen) * 1000) / (nowMs - this.#longSinceMs);
      if (perSecond < LIMITS.slowBodyBytesPerSecondMin) {
        throw this.#slow(`${Math.round(perSecond)} bytes a second`, waitingBytes);
      }
    }
    this.#longSinceMs = nowMs;
    this.#takenThen = taken;
  }

  #slow(rate: string, waitingBytes: number): ExoError {
    return slowPeer(`${this.#remote} has taken ${rate} for ${LIMITS.slowPeerMs} ms`, waitingBytes);
  }
}

/** The verdict on one who lets things pile up. */
export function slowPeer(what: string, waitingBytes: number): ExoError {
  const mib = (waitingBytes / 2 ** 20).toFixed(1);
  return new ExoError(
    'slow-peer',
    `${what} while ${mib} MiB wait for it; look at that machine and the path`,
    {
      retryable: true,
    },
  );
}
