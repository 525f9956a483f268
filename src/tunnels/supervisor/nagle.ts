/**
 * Whether the round trips of a burst show that small messages are held back: where Nagle's algorithm meets a delayed
 * acknowledgement, a few of them take 40 ms more than the others. Pure.
 */

/** A delayed acknowledgement comes after 40 ms; a bit less is left for the clock. */
const STALL_MS = 30;
/** A timer of the system is behind both of them, so they are equally long; what a busy machine does is not. */
const SPREAD_MS = 5;
/** Where it occurs one message in twelve stalls: fewer of them say nothing. */
const SAMPLES_MIN = 30;

/** Whether two stalls of one length are among them. Undefined: too few to tell. */
export function showsStalls(rttsMs: readonly number[]): boolean | undefined {
  if (rttsMs.length < SAMPLES_MIN) return undefined;
  const sorted = [...rttsMs].sort((a, b) => a - b);
  const medianMs = sorted[sorted.length >> 1]!;
  const stallsMs = sorted.filter((rttMs) => rttMs >= medianMs + STALL_MS);
  return stallsMs.some((stallMs, index) => index > 0 && stallMs - stallsMs[index - 1]! <= SPREAD_MS);
}
