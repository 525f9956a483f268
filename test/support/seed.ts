/**
 * What the tests draw is drawn from here. `npm test` takes the seed from the commit (tools/test-seed.mjs), a campaign and a single
 * file take one of their own; `EXO_TEST_SEED` replays any of them.
 */
export const TEST_SEED = Number(process.env['EXO_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 28));
