/**
 * How much of a file is asked of another node at once, so that what is on its way never takes a link for longer than a moment: pings
 * and tensors of the same connection wait behind it. Larger while pieces come quickly, smaller when they begin to queue. Pure;
 * called by `peer-source.ts`.
 */
import { LIMITS } from '../../shared/index.js';

/** Beyond the least time that a piece took (the way there and back), time is spent in a queue. */
const LONG_MS = 100;
const SHORT_MS = 40;
/** Then the way may be another: it is measured anew, with small pieces. */
const PIECES_MAX = 512;

/** The pieces of one other node, over all files. */
export class PieceSize {
  #bytes: number = LIMITS.fileBytesMin;
  #leastMs = Number.POSITIVE_INFINITY;
  #pieces = 0;

  /** Of the next one. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A piece came, so long after it was asked for. */
  took(ms: number): void {
    this.#pieces += 1;
    if (this.#pieces > PIECES_MAX) {
      this.#pieces = 0;
      this.#bytes = LIMITS.fileBytesMin;
      this.#leastMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.#leastMs = Math.min(this.#leastMs, ms);
    const queuedMs = ms - this.#leastMs;
    if (queuedMs > LONG_MS) this.#bytes = Math.max(LIMITS.fileBytesMin, Math.floor(this.#bytes / 2));
    else if (queuedMs < SHORT_MS) this.#bytes = Math.min(LIMITS.fileBytesMax, this.#bytes * 2);
  }
}
