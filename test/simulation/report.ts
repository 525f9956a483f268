/** What a person reads of runs: a failure with all that is needed to look into it, and the sum of many. */
import type { Bug } from './bugs.js';
import type { PoolResult } from './pool.js';
import type { RunResult } from './simulate.js';

/** A failed run: seed, fault schedule, last events, and how to see it again. */
export function failureReport(
  result: RunResult,
  how: { readonly virtualSeconds: number; readonly bug?: Bug | undefined },
): string {
  const bug = how.bug === undefined ? '' : ` --bug ${how.bug}`;
  return [
    `seed ${result.seed} failed: ${result.failure}`,
    `  ${result.nodes} nodes; trace ${result.hash} over ${result.events} events`,
    'fault schedule (virtual seconds):',
    ...result.schedule,
    'last events:',
    ...result.lastEvents,
    `replay: npm run simulate -- --seed ${result.seed} --virtual-seconds ${how.virtualSeconds}${bug}`,
  ].join('\n');
}

/** Many runs in a few lines. */
export function summary(results: readonly PoolResult[], wallMs: number, virtualSeconds: number): string {
  const sum = (of: (result: PoolResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const failed = results.filter(({ failure }) => failure !== undefined);
  const settledMs = results.reduce((most, { settledMsMax }) => Math.max(most, settledMsMax), 0);
  return [
    `${results.length} seeds of ${virtualSeconds} virtual seconds in ${(wallMs / 1_000).toFixed(1)} s (${(sum(({ cpuMs }) => cpuMs) / 1_000).toFixed(1)} s of processor time), ${sum(({ events }) => events)} events`,
    `questions: ${sum(({ questions }) => questions.asked)} asked, ${sum(({ questions }) => questions.answered)} answered, ${sum(({ questions }) => questions.failed)} ended with an error, the others' nodes were killed`,
    `views equal after a heal: ${(settledMs / 1_000).toFixed(2)} s at most`,
    failed.length === 0 ? 'nothing failed' : `failed: seeds ${failed.map(({ seed }) => seed).join(', ')}`,
  ].join('\n');
}
