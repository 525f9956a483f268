/**
 * Whether the round trips of a burst show that small messages are held back: where Nagle's algorithm meets a delayed
 * acknowledgement, a few of them take 40 ms more than the others. Pure.
 */

/** A delayed acknowledgement comes after 40 ms; a bit less is left for the clock. */
const STALL_MS = 30;
/** One long round trip may be anything. */
const STALLS_MIN = 2;
/** Fewer than half a burst says nothing: where it occurs, one message in twelve stalls. */
const SAMPLES_MIN = 15;

/** Undefined: too few to tell. */
export function showsStalls(rttsMs: readonly number[]): boolean | undefined {
  if (rttsMs.length < SAMPLES_MIN) return undefined;
  const sorted = [...rttsMs].sort((a, b) => a - b);
  const medianMs = sorted[sorted.length >> 1]!;
  return rttsMs.filter((rttMs) => rttMs >= medianMs + STALL_MS).length >= STALLS_MIN;
}
