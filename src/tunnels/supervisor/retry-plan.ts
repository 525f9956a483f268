/**
 * When a tunnel is tried again: pure counters and formulas, told of every session that ended. One plan per tunnel; the
 * supervisor asks it. `chance` is always uniform in [0, 1).
 *
 *   a session that had worked      at once, at least 2 s after the one before, as long as tokens last; then after 5-10 s
 *   one that never worked          full jitter below 1, 2, 4, 8, 16 s, then 24-32 s, then 45-60 s
 *   a host that takes no connection   knocks, 0.5-1 s apart for five minutes, then 2-4 s, after an hour 5-10 s
 *   a port that is taken           2-3 s for ten minutes, then 20-30 s
 *
 * A minute of `up` makes everything new.
 */
import { LIMITS, TokenBucket } from '../../shared/index.js';

/** autossh's: so many tries are quick, those after them are slow. */
const FAST_TRIES = 5;
const FIRST_CEILING_MS = 1_000;
/** Of a slow delay this share is certain, so that ten minutes see fewer than twenty starts; the rest is jitter. */
const CERTAIN_SHARE = 0.75;

const MINUTE_MS = 60_000;
/** From this long after the loss, knocks are between `minMs` and twice that apart. A knock is one SYN. */
const KNOCK_GAPS = [
  { fromMs: 60 * MINUTE_MS, minMs: 5_000 },
  { fromMs: 5 * MINUTE_MS, minMs: 2_000 },
  { fromMs: 0, minMs: 500 },
] as const;

/** A stale listener is released within minutes; a port that is taken for longer has another owner. */
const BUSY_SOON_FOR_MS = 10 * MINUTE_MS;
const BUSY_SOON_MS = 2_000;
const BUSY_LATER_MS = 20_000;

/** Delays in milliseconds; times are `clock.now()`. */
export class RetryPlan {
  /** Sessions in a row that never worked. */
  #failures = 0;
  #lostAtMs: number | undefined;
  #quick: TokenBucket | undefined;

  /** The tunnel was up for a minute, or a person asks: what was is forgotten. */
  reset(): void {
    this.#failures = 0;
    this.#lostAtMs = undefined;
    this.#quick = undefined;
  }

  /** A session has been proven: those that failed before it no longer count, the quick ones spent do. */
  proven(): void {
    this.#failures = 0;
    this.#lostAtMs = undefined;
  }

  /** After a session that had worked; `startedAtMs`: when it was started. */
  afterGood(nowMs: number, startedAtMs: number, chance: number): number {
    this.#lostAtMs ??= nowMs;
    this.#quick ??= new TokenBucket(
      1 / (LIMITS.tunnelQuickRestartRefillMs / 1000),
      LIMITS.tunnelQuickRestartsMax,
      nowMs,
    );
    if (!this.#quick.take(nowMs)) return (LIMITS.tunnelQuickRestartRefillMs / 2) * (1 + chance);
    return Math.max(0, startedAtMs + LIMITS.tunnelRestartSpacingMs - nowMs);
  }

  /** After a session that never worked. */
  afterFailure(nowMs: number, chance: number): number {
    this.#lostAtMs ??= nowMs;
    this.#failures += 1;
    const ceilingMs = Math.min(
      LIMITS.tunnelBackoffCeilingMsMax,
      FIRST_CEILING_MS * 2 ** Math.min(this.#failures - 1, 20),
    );
    if (this.#failures <= FAST_TRIES) return chance * ceilingMs;
    return ceilingMs * (CERTAIN_SHARE + (1 - CERTAIN_SHARE) * chance);
  }

  /** Until the next knock. */
  knockGap(nowMs: number, chance: number): number {
    this.#lostAtMs ??= nowMs;
    const sinceMs = nowMs - this.#lostAtMs;
    const { minMs } = KNOCK_GAPS.find(({ fromMs }) => sinceMs >= fromMs)!;
    return minMs * (1 + chance);
  }

  /** Until a port that is taken is tried again. */
  busyGap(nowMs: number, chance: number): number {
    this.#lostAtMs ??= nowMs;
    const minMs = nowMs - this.#lostAtMs < BUSY_SOON_FOR_MS ? BUSY_SOON_MS : BUSY_LATER_MS;
    return minMs * (1 + chance / 2);
  }
}
