/**
 * exp(x) for x ≤ 0 to 13 digits, several times faster than Math.exp where a token's whole vocabulary is weighed, and of
 * additions and multiplications only, so that every machine gets the same bits. Pure. Called by `sampler.ts`.
 */

/** Steps of an octave in the table; what is left of x is below ln 2 / 128, and five terms of the series are enough. */
const STEPS = 64;
const STEPS_BITS = 6;
const STEPS_PER_UNIT = STEPS / Math.LN2;
/** ln 2 / 64 in two parts, so that taking a multiple of it off loses no digit (Cody and Waite). */
const STEP_HIGH = Math.fround(Math.LN2 / STEPS);
const STEP_LOW = Math.LN2 / STEPS - STEP_HIGH;
const THIRD_TERM = 1 / 6;
const FOURTH_TERM = 1 / 24;
const FIFTH_TERM = 1 / 120;
/** Below this the result is less than the smallest double. */
const LEAST = -745;

const FRACTIONS = Float64Array.from({ length: STEPS }, (_, step) => 2 ** (step / STEPS));
/** 2^-1080 to 2^0. */
const OCTAVES = Float64Array.from({ length: 1_081 }, (_, place) => 2 ** (place - 1_080));

/** NaN for what is above 0 or NaN. */
export function exponential(x: number): number {
  if (x < LEAST) return 0;
  // Rounds what is not positive; Math.round costs as much as all the rest.
  const step = (x * STEPS_PER_UNIT - 0.5) | 0;
  const rest = x - step * STEP_HIGH - step * STEP_LOW;
  const series =
    1 + rest * (1 + rest * (0.5 + rest * (THIRD_TERM + rest * (FOURTH_TERM + rest * FIFTH_TERM))));
  return OCTAVES[(step >> STEPS_BITS) + 1_080]! * (FRACTIONS[step & (STEPS - 1)]! * series);
}
