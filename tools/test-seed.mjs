/**
 * The seed of a run of `npm test`: everything that its tests draw. It comes from the commit, so that each commit looks somewhere
 * else, and the run that fails for one is the run that anybody sees of it. Called by test.mjs.
 */
import { spawnSync } from 'node:child_process';

/** `EXO_TEST_SEED`, or that of the commit that is checked out in `root`; undefined where neither is known. */
export function testSeed(root) {
  const given = process.env.EXO_TEST_SEED;
  if (given !== undefined) return { seed: given, from: 'EXO_TEST_SEED' };
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  if (status !== 0 || !/^[0-9a-f]{40}/.test(stdout)) return undefined;
  return { seed: String(Number.parseInt(stdout.slice(0, 7), 16)), from: 'the commit' };
}
