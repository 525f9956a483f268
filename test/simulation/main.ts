/** `npm run simulate`: many seeds in several processes, or one seed again, exactly as it was. */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { BUGS, type Bug } from './bugs.js';
import { runSeeds } from './pool.js';
import { failureReport, summary } from './report.js';
import { simulate } from './simulate.js';

const USAGE = `npm run simulate -- [--seeds 100] [--from 1] [--workers 2] [--virtual-seconds 600] [--bug NAME]
npm run simulate -- --seed N [--virtual-seconds 600] [--events 200] [--bug NAME]
bugs: ${Object.entries(BUGS)
  .map(([name, what]) => `\n  ${name}: ${what}`)
  .join('')}`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    events: { type: 'string', default: '200' },
    'virtual-seconds': { type: 'string', default: '600' },
    bug: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const virtualSeconds = Number(values['virtual-seconds']);
const numbers = [
  values.seed ?? '1',
  values.seeds,
  values.from,
  values.workers,
  values.events,
  virtualSeconds,
];
const isWrong = numbers.some((number) => !Number.isSafeInteger(Number(number)) || Number(number) < 1);
if (values.help || isWrong || (values.bug !== undefined && !Object.hasOwn(BUGS, values.bug))) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}
/** Seeds between two lines on stderr. */
const PROGRESS_EVERY = 25;
const secondsSince = (startedMs: number): string => ((performance.now() - startedMs) / 1_000).toFixed(0);
const bug = values.bug as Bug | undefined;

if (values.seed !== undefined) {
  const result = await simulate({
    seed: Number(values.seed),
    virtualSeconds,
    bug,
    lastEvents: Number(values.events),
  });
  if (result.failure === undefined) {
    console.log(`seed ${result.seed}: nothing failed; trace ${result.hash} over ${result.events} events`);
  } else {
    console.log(failureReport(result, { virtualSeconds, bug }));
    process.exitCode = 1;
  }
} else {
  const from = Number(values.from);
  const startedMs = performance.now();
  let done = 0;
  const results = await runSeeds({
    seeds: Array.from({ length: Number(values.seeds) }, (_, index) => from + index),
    workers: Number(values.workers),
    virtualSeconds,
    bug,
    onResult: (result) => {
      done += 1;
      if (done % PROGRESS_EVERY === 0) console.error(`${done} seeds after ${secondsSince(startedMs)} s`);
      if (result.failure !== undefined) console.log(`${failureReport(result, { virtualSeconds, bug })}\n`);
    },
  });
  console.log(summary(results, performance.now() - startedMs, virtualSeconds));
  if (results.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}
