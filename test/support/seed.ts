/**
 * What the tests draw is drawn from here. `npm test` draws a seed for a run (tools/test-seed.mjs), a file by itself one of its own;
 * `EXO_TEST_SEED` replays either.
 */
import { createHash } from 'node:crypto';

export const TEST_SEED = Number(process.env['EXO_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 28));

/** The seed of one of several that draw the same kind of thing. */
export function seedFor(what: string): number {
  return createHash('sha256').update(`${TEST_SEED} ${what}`).digest().readUInt32BE() >>> 4;
}
