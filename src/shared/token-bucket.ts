/** A rate limiter: a pure bucket of tokens, and a bounded table of buckets keyed by source. */
import { BoundedMap } from './bounded-map.js';

/** Refills continuously at `perSecond`, holds at most `burst`. */
export class TokenBucket {
  #tokens: number;
  #atMs: number;
  readonly #perSecond: number;
  readonly #burst: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Takes one token; false when there is none. */
  take(nowMs: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) / 1000) * this.#perSecond);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** One bucket per source; the least recently used source is forgotten when the table is full. */
export class SourceLimiter {
  readonly #buckets: BoundedMap<string, TokenBucket>;
  readonly #perSecond: number;
  readonly #burst: number;

  constructor(perSecond: number, burst: number, sourcesMax: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#buckets = new BoundedMap(sourcesMax);
  }

  /** Whether one more event of this source is within its rate. */
  take(source: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(source) ?? new TokenBucket(this.#perSecond, this.#burst, nowMs);
    this.#buckets.set(source, bucket);
    return bucket.take(nowMs);
  }

  get size(): number {
    return this.#buckets.size;
  }
}
