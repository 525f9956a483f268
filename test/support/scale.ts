/** How much a test does: little in `npm test`, the full count in `npm run campaign`. */

/** Whether this is a campaign. */
export const CAMPAIGN = process.env['EXO_TEST_SCALE'] === 'campaign';

/** `few` in `npm test`, `full` in a campaign. */
export const repeats = (few: number, full: number): number => (CAMPAIGN ? full : few);
