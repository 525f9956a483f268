/**
 * Reporter of one test file in `npm test`: failures in full with what the file printed, and, for test-files.mjs, counts,
 * what tests said and what they measured of the promises of test/support/promise.ts, as JSON into $EXO_TEST_COUNTS.
 * A file without a test counts as a failure.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** A test that takes longer is named. */
const SLOW_MS = 5_000;
/** How a test says what it measured of a promise: test/support/promise.ts. */
const PROMISE_MARK = 'promise ';
const PRINTED_CHARS_MAX = 8_000;
/** Of a failure's reason, as it is said again at the end of the run. */
const WHY_CHARS_MAX = 2_000;
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

function describe(error) {
  if (error?.exitCode !== undefined)
    return `the file ended with ${error.signal ?? `exit code ${error.exitCode}`}`;
  const inner = error?.cause ?? error;
  if (inner instanceof Error) return inner.stack ?? inner.message;
  if (typeof inner === 'object' && inner !== null && typeof inner.stack === 'string') return inner.stack;
  return String(inner);
}

export default async function* report(source) {
  const file = process.env.EXO_TEST_FILE;
  const counts = { passed: 0, failed: 0, skipped: [], failures: [], promises: [], said: [] };
  let printed = '';

  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      printed = (printed + data.message).slice(-PRINTED_CHARS_MAX);
    }
    if (type === 'test:diagnostic' && !RUNNER_TOTAL.test(data.message)) {
      const measured = promised(data.message);
      if (measured !== undefined) counts.promises.push({ ...measured, file });
      else counts.said.push(data.message);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite') continue;
    const ms = data.details?.duration_ms ?? 0;
    // A file that ends in silence is told as a test of its own name.
    const isFile = data.nesting === 0 && path.resolve(data.name) === path.resolve(data.file ?? '');
    const name = isFile ? file : data.name;
    if (data.skip !== undefined || data.todo !== undefined) {
      const reason = data.skip ?? data.todo;
      counts.skipped.push({ name, file, reason: typeof reason === 'string' ? reason : 'no reason given' });
    } else if (type === 'test:fail' || isFile) {
      // A parent fails with its subtests; they have been counted.
      if (data.details?.error?.failureType === 'subtestsFailed') continue;
      counts.failed += 1;
      const why = type === 'test:fail' ? describe(data.details?.error) : 'the file contains no test';
      counts.failures.push({ name, file, why: why.slice(0, WHY_CHARS_MAX) });
      yield `  ✖ ${isFile ? file : `${name} (${file})`}\n${indent(why)}\n`;
      if (printed !== '') yield `${indent(`--- printed by this file\n${printed}`)}\n`;
    } else {
      counts.passed += 1;
      if (ms >= SLOW_MS) counts.said.push(`${seconds(ms)} for: ${name}`);
    }
  }
  writeFileSync(process.env.EXO_TEST_COUNTS, JSON.stringify(counts));
}

const indent = (text) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `      ${line}`)
    .join('\n');
