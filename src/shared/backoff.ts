/**
 * When to try again: full jitter below a ceiling that grows with the outage. A pure function of how long
 * the thing has been gone, so that a peer lost for 10 s is back within 3 s and one lost for an hour is
 * asked every few seconds, without a storm when many peers lose the same hub.
 */
import type { Random } from './random.js';

/** How a retry schedule looks; all in milliseconds except `share`. */
export interface BackoffOptions {
  /** The ceiling right after the loss. */
  readonly ceilingMsMin: number;
  /** The ceiling is never higher than this. */
  readonly ceilingMsMax: number;
  /** The ceiling in between, as a share of the time since the loss. */
  readonly share: number;
}

/** The delay before the next try: uniform in [0, ceiling). */
export function fullJitterMs(options: BackoffOptions, sinceLossMs: number, random: Random): number {
  const ceilingMs = Math.min(
    options.ceilingMsMax,
    Math.max(options.ceilingMsMin, sinceLossMs * options.share),
  );
  return random.next() * ceilingMs;
}
