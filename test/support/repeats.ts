/** How often an end-to-end test is repeated: few times in `npm test`, the full count in `npm run campaign`. */

/** `few` in `npm test`, `full` in a campaign. */
export function repeats(few: number, full: number): number {
  return process.env['EXO_TEST_SCALE'] === 'campaign' ? full : few;
}
