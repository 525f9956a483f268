/**
 * Reporter of `npm test`: one line a file, failures in full with what the file printed, slow tests, and the
 * counts as JSON into $EXO_TEST_COUNTS, with what tests measured of the promises of test/support/promise.ts. A file
 * without a test counts as a failure.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const SLOW_MS = 5_000;
/** How a test says what it measured of a promise: test/support/promise.ts. */
const PROMISE_MARK = 'promise ';
const PRINTED_CHARS_MAX = 8_000;
/** Of a failure's reason, as it is said again at the end of the run. */
const WHY_CHARS_MAX = 2_000;
/** The runner's own totals; ours are better. */
const RUNNER_TOTAL = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const short = (file) => (file === undefined ? '' : path.relative(process.cwd(), file));

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
  const inner = error?.cause ?? error;
  if (inner instanceof Error) return inner.stack ?? inner.message;
  if (typeof inner === 'object' && inner !== null && typeof inner.stack === 'string') return inner.stack;
  return String(inner);
}

export default async function* report(source) {
  const counts = { passed: 0, failed: 0, skipped: [], failures: [], promises: [] };
  const files = new Map();
  const entry = (file) => {
    const name = short(file);
    if (!files.has(name)) files.set(name, { passed: 0, failed: 0, skipped: 0, ms: 0, printed: '' });
    return files.get(name);
  };

  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      const file = entry(data.file);
      file.printed = (file.printed + data.message).slice(-PRINTED_CHARS_MAX);
    }
    if (type === 'test:diagnostic' && !RUNNER_TOTAL.test(data.message)) {
      const measured = promised(data.message);
      if (measured !== undefined) counts.promises.push({ ...measured, file: short(data.file) });
      yield `      ${measured === undefined ? data.message : `${measured.id}: ${measured.figure}`}\n`;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite') continue;
    const file = entry(data.file);
    const ms = data.details?.duration_ms ?? 0;
    const isFile = data.nesting === 0 && path.resolve(data.name) === path.resolve(data.file ?? '');
    if (data.nesting === 0) file.ms += ms;
    if (data.skip !== undefined || data.todo !== undefined) {
      file.skipped += 1;
      const reason = data.skip ?? data.todo;
      counts.skipped.push({
        name: data.name,
        file: short(data.file),
        reason: typeof reason === 'string' ? reason : 'no reason given',
      });
    } else if (type === 'test:fail' || isFile) {
      // A parent fails with its subtests; they have been counted.
      if (data.details?.error?.failureType === 'subtestsFailed') continue;
      file.failed += 1;
      counts.failed += 1;
      const why = type === 'test:fail' ? describe(data.details?.error) : 'the file contains no test';
      counts.failures.push({ name: data.name, file: short(data.file), why: why.slice(0, WHY_CHARS_MAX) });
      yield `  ✖ ${data.name} (${short(data.file)}${data.line === undefined ? '' : `:${data.line}`})\n${indent(why)}\n`;
      if (file.printed !== '') yield `${indent(`--- printed by this file\n${file.printed}`)}\n`;
    } else {
      file.passed += 1;
      counts.passed += 1;
      if (ms >= SLOW_MS) yield `    ${seconds(ms)}  ${data.name}\n`;
    }
  }

  for (const [name, { passed, failed, skipped, ms }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (passed + failed + skipped === 0) continue;
    const parts = [`${passed} passed`];
    if (failed > 0) parts.push(`${failed} failed`);
    if (skipped > 0) parts.push(`${skipped} skipped`);
    yield `  ${failed > 0 ? '✖' : '✔'} ${name}  ${parts.join(', ')}  ${seconds(ms)}\n`;
  }
  if (process.env.EXO_TEST_COUNTS) writeFileSync(process.env.EXO_TEST_COUNTS, JSON.stringify(counts));
}

const indent = (text) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `      ${line}`)
    .join('\n');
