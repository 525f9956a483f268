/**
 * The seed of a run of `npm test`, from which its tests draw their cases. That of a whole run comes from the commit: each commit
 * looks somewhere else, and what fails for one fails for everybody who runs it. Called by test.mjs.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

/** A 28-bit number, as seven digits of a commit are. */
const SEED_END = 2 ** 28;

/**
 * `EXO_TEST_SEED` where it is set. Otherwise of the commit that is checked out in `root`, or drawn: where no commit is known, and
 * where it is not wanted. Throws RangeError for an `EXO_TEST_SEED` that is no seed.
 */
export function testSeed(root, { ofCommit }) {
  const given = process.env.EXO_TEST_SEED;
  if (given !== undefined) {
    if (!/^\d{1,9}$/.test(given))
      throw new RangeError(`EXO_TEST_SEED=${given}: give a number of up to nine digits`);
    return given;
  }
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  if (!ofCommit || status !== 0 || !/^[0-9a-f]{40}/.test(stdout)) return String(randomInt(SEED_END));
  return String(Number.parseInt(stdout.slice(0, 7), 16));
}
