/**
 * Reporter of one test file in `npm test`, in the process of that file: failures in full, and, for test-files.mjs, counts, what
 * tests said and what they measured of the promises of test/support/promise.ts, as JSON into $EXO_TEST_COUNTS. A file that
 * ends in the middle of a test is a failure of that test.
 */
import { writeFileSync } from 'node:fs';

/** A test that takes longer is named. */
const SLOW_MS = 5_000;
/** How a test says what it measured of a promise: test/support/promise.ts. */
const PROMISE_MARK = 'promise ';
/** Of a failure's reason, as it is said again at the end of the run. */
const WHY_CHARS_MAX = 2_000;
/** Of errors behind an error. */
const CAUSES_SAID = 4;
/** The runner's own totals; ours are better. */
const RUNNER_TOTAL = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** What a diagnostic says of a promise; undefined for any other. */
function promised(message) {
  if (!message.startsWith(PROMISE_MARK)) return undefined;
  try {
    return JSON.parse(message.slice(PROMISE_MARK.length));
  } catch {
    return undefined;
  }
}

/** Where it was thrown, and what lay behind it: of a request that fails only the cause says why. */
function describe(error) {
  const inner = error?.cause ?? error;
  const first = typeof inner?.stack === 'string' ? inner.stack : String(inner?.message ?? inner);
  const causes = [];
  let { cause } = Object(inner);
  while (cause !== undefined && cause !== null && causes.length < CAUSES_SAID) {
    const code = cause.code === undefined ? '' : ` (${cause.code})`;
    causes.push(`because of ${cause.name ?? typeof cause}: ${cause.message ?? String(cause)}${code}`);
    ({ cause } = Object(cause));
  }
  return [first, ...causes].join('\n');
}

export default async function* report(source) {
  const file = process.env.EXO_TEST_FILE;
  const counts = { passed: 0, failed: 0, skipped: [], failures: [], promises: [], said: [] };
  /** Begun, and not ended. */
  const running = new Set();
  let hasEnded = false;
  // Also when the tests are not done: a leak, or a test that ends the process.
  process.on('exit', (code) => {
    if (!hasEnded && (running.size > 0 || code === 0)) {
      const name = [...running].at(-1) ?? file;
      counts.failed += 1;
      counts.failures.push({ name, file, why: `the process ended with ${code} before its tests had` });
    }
    writeFileSync(process.env.EXO_TEST_COUNTS, JSON.stringify(counts));
  });

  process.once('SIGTERM', () => process.exit(1));

  for await (const { type, data } of source) {
    if (type === 'test:dequeue') running.add(data.name);
    if (type === 'test:diagnostic' && !RUNNER_TOTAL.test(data.message)) {
      const measured = promised(data.message);
      if (measured !== undefined) counts.promises.push({ ...measured, file });
      else counts.said.push(data.message);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    running.delete(data.name);
    if (data.details?.type === 'suite') continue;
    const ms = data.details?.duration_ms ?? 0;
    const { name } = data;
    if (data.skip !== undefined || data.todo !== undefined) {
      const reason = data.skip ?? data.todo;
      counts.skipped.push({ name, file, reason: typeof reason === 'string' ? reason : 'no reason given' });
    } else if (type === 'test:fail') {
      // A parent fails with its subtests; they have been counted.
      if (data.details?.error?.failureType === 'subtestsFailed') continue;
      counts.failed += 1;
      const why = describe(data.details?.error);
      counts.failures.push({ name, file, why: why.slice(0, WHY_CHARS_MAX) });
      yield `  ✖ ${name} (${file})\n${indent(why)}\n`;
    } else {
      counts.passed += 1;
      if (ms >= SLOW_MS) counts.said.push(`${seconds(ms)} for: ${name}`);
    }
  }
  hasEnded = true;
}

const indent = (text) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `      ${line}`)
    .join('\n');
