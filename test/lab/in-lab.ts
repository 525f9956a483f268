/** A lab for the time of one test. */
import assert from 'node:assert/strict';
import { Lab, leftovers } from './lab.js';

/** Runs `work` in a new lab, which is gone with it. */
export async function inLab(work: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = new Lab();
  try {
    await work(lab);
  } finally {
    await lab.close();
  }
  assert.deepEqual(leftovers(), []);
}
