/**
 * Whether to wait a moment for requests that will be back at once: four requests that decode side by side come back one
 * after the other within a millisecond, and one run for all costs little more than one run for the first. Only for those
 * that were back as quickly before; over a slow ring nobody is waited for. Pure. Called by the scheduler.
 */

/** The longest wait. A run takes ten times as long for any model worth waiting for. */
export const LINGER_MS = 2;

interface Gap {
  endedAtMs: number;
  /** From a result to the next step, smoothed. */
  gapMs: number;
}

/** What is known of the requests of one shard. */
export class Lingering {
  readonly #gaps = new Map<string, Gap>();
  #last: readonly string[] = [];

  /** A run has ended. */
  ended(requestIds: readonly string[], nowMs: number): void {
    this.#last = requestIds;
    for (const id of requestIds) {
      const gap = this.#gaps.get(id);
      this.#gaps.set(id, { endedAtMs: nowMs, gapMs: gap?.gapMs ?? Number.POSITIVE_INFINITY });
    }
  }

  /** A step has come. */
  arrived(requestId: string, nowMs: number): void {
    const gap = this.#gaps.get(requestId);
    if (gap === undefined) return;
    const now = nowMs - gap.endedAtMs;
    gap.gapMs = Number.isFinite(gap.gapMs) ? (gap.gapMs + now) / 2 : now;
  }

  /** The request is over. */
  forget(requestId: string): void {
    this.#gaps.delete(requestId);
  }

  /** How long to wait now, in milliseconds; 0 when nobody is expected. `waiting` are the requests that are here. */
  waitMs(waiting: ReadonlySet<string>, nowMs: number): number {
    let longest = 0;
    for (const id of this.#last) {
      const gap = this.#gaps.get(id);
      if (gap === undefined || waiting.has(id) || gap.gapMs > LINGER_MS) continue;
      longest = Math.max(longest, gap.endedAtMs + LINGER_MS - nowMs);
    }
    return longest;
  }
}
