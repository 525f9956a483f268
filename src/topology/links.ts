/**
 * How good a path is: the round trip of one edge, smoothed as TCP smooths its own (RFC 6298, section 2). Pure:
 * samples in, a new estimate out. The node keeps one estimate per connection.
 */

/** What is known of a path's round trip, in milliseconds. */
export interface RttEstimate {
  /** Smoothed round trip (SRTT). */
  readonly srttMs: number;
  /** Mean deviation (RTTVAR). */
  readonly rttvarMs: number;
  /** Lowest sample: the length of the path without queues. */
  readonly minMs: number;
  readonly latestMs: number;
  readonly samples: number;
}

// RFC 6298 2.3: one eighth and one quarter.
const SRTT_GAIN = 1 / 8;
const RTTVAR_GAIN = 1 / 4;

/** The estimate after one more sample. A sample that is negative or not finite changes nothing. */
export function addRttSample(estimate: RttEstimate | undefined, sampleMs: number): RttEstimate | undefined {
  if (!Number.isFinite(sampleMs) || sampleMs < 0) return estimate;
  if (estimate === undefined) {
    return { srttMs: sampleMs, rttvarMs: sampleMs / 2, minMs: sampleMs, latestMs: sampleMs, samples: 1 };
  }
  // The deviation is updated first, with the smoothed value from before this sample (RFC 6298 2.3).
  const deviation = Math.abs(estimate.srttMs - sampleMs);
  return {
    srttMs: (1 - SRTT_GAIN) * estimate.srttMs + SRTT_GAIN * sampleMs,
    rttvarMs: (1 - RTTVAR_GAIN) * estimate.rttvarMs + RTTVAR_GAIN * deviation,
    minMs: Math.min(estimate.minMs, sampleMs),
    latestMs: sampleMs,
    samples: estimate.samples + 1,
  };
}
