/** How much a test that can run for ever should do: little by default, everything in a campaign. */

/** Cases of a property: `small` by default, 100,000 with EXO_TEST_SCALE=campaign, or the number given there. */
export function propertyRuns(small: number): number {
  const scale = process.env['EXO_TEST_SCALE'];
  if (scale === undefined || scale === '') return small;
  return scale === 'campaign' ? 100_000 : Number(scale);
}

/** Time budget of a fuzz run, in milliseconds: EXO_FUZZ_MS, 3000 by default. */
export function fuzzMs(): number {
  return Number(process.env['EXO_FUZZ_MS'] ?? 3_000);
}
