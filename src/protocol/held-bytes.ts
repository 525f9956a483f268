/**
 * What came behind the proofs of a connection while they are judged: it may use the connection already, and nobody here knows yet what
 * it may say. Only the bytes and their deadline; `inbound.ts` fills it, and `connection.ts` pauses the stream meanwhile.
 */
import { ExoError, LIMITS } from '../shared/index.js';

const NO_BYTES = Buffer.alloc(0);

/** Bytes of one peer that are to be received again. */
export class HeldBytes {
  #bytes: Buffer | undefined;
  #sinceMs = 0;

  /** Whether what comes is kept, until `release`. */
  get isHolding(): boolean {
    return this.#bytes !== undefined;
  }

  hold(nowMs: number): void {
    this.#bytes = NO_BYTES;
    this.#sinceMs = nowMs;
  }

  /** Keeps a copy of what was not received. Throws `overloaded`: of a paused stream more than a chunk or two cannot come. */
  keep(rest: Buffer): void {
    const held = this.#bytes ?? NO_BYTES;
    const bytes = held.length + rest.length;
    if (bytes > LIMITS.heldBytesMax) {
      throw new ExoError('overloaded', `${bytes} bytes came before this connection was judged`, {
        retryable: true,
      });
    }
    this.#bytes = Buffer.concat([held, rest]);
  }

  /** Hands out what was kept, and keeps nothing any more; undefined where nothing was held. */
  release(): Buffer | undefined {
    const held = this.#bytes;
    this.#bytes = undefined;
    return held;
  }

  /** Throws `handshake-timeout` when the proofs were not judged in time. */
  checkDeadline(nowMs: number): void {
    if (!this.isHolding || nowMs - this.#sinceMs < LIMITS.handshakeTimeoutMs) return;
    throw new ExoError(
      'handshake-timeout',
      `its proofs were not judged within ${LIMITS.handshakeTimeoutMs} ms`,
    );
  }
}
