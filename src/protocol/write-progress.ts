/**
 * Whether a stream still takes what is written to it. Looked at once a tick, so that no write has to ask for the time.
 * Only `connection.ts` uses it.
 */
import { ExoError, LIMITS } from '../shared/index.js';

/** Of one stream. */
export class WriteProgress {
  #moved = false;
  #movedAtMs: number;
  #unsentSeen = 0;

  constructor(nowMs: number) {
    this.#movedAtMs = nowMs;
  }

  /** The stream took bytes, or had nothing left. */
  moved(): void {
    this.#moved = true;
  }

  /** Throws `connection-closed` when bytes have waited for `LIMITS.stalledWriteMs` and none was taken. */
  check(unsentBytes: number, nowMs: number, remote: string): void {
    if (this.#moved || unsentBytes === 0 || unsentBytes < this.#unsentSeen) this.#movedAtMs = nowMs;
    this.#moved = false;
    this.#unsentSeen = unsentBytes;
    if (nowMs - this.#movedAtMs < LIMITS.stalledWriteMs) return;
    throw new ExoError(
      'connection-closed',
      `${remote} has taken no byte for ${LIMITS.stalledWriteMs} ms; the path is dead`,
      { retryable: true },
    );
  }
}
