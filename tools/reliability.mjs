/**
 * The figures of docs/RELIABILITY.md: kept in docs/reliability.json, renewed from a run of the tests, and written as a table. Used
 * by campaign.mjs. Not a test runner.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const DATA = 'docs/reliability.json';
const DOCUMENT = 'docs/RELIABILITY.md';

/**
 * Rows that are kept: `{id, test, file, figure, form: 'full' | 'short', date, outcome: 'held' | 'failed' | 'skipped'}`.
 * @returns an empty list where nothing was measured yet
 */
export function readRows(root) {
  try {
    return JSON.parse(readFileSync(path.join(root, DATA), 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * The rows after a run. What was run replaces what stood there: a promise whose test failed or was skipped says so, and never keeps
 * its old figure.
 * @param ran file → ids of the promises it measures, of the files that were run
 * @param measured file → ids of the promises it measures now, of all files; rows of others go
 * @param isRun whether a test of these files was run, by its name
 * @param isWhole all of them were: a promise without a figure has failed
 */
export function merge(old, run, { ran, measured, isRun, isWhole, form, date }) {
  const kept = old.filter(
    (row) => measured.get(row.file)?.has(row.id) === true && !(ran.has(row.file) && isRun(row.test)),
  );
  const fresh = [];
  for (const [file, ids] of ran) {
    const failures = run.failures.filter((failure) => failure.file === file);
    const figures = run.promises.filter((row) => row.file === file);
    // A test says what it measured when that has held; what fails after it is another promise.
    for (const { id, test, figure } of figures)
      fresh.push({ id, test, file, figure, form, date, outcome: 'held' });
    const failed = (id, test, why) =>
      fresh.push({ id, test, file, figure: firstLine(why), form, date, outcome: 'failed' });
    for (const { name, why } of failures) {
      const said = figures.filter(({ test }) => test === name).map(({ id }) => id);
      for (const id of ids) if (names(name, id) && !said.includes(id)) failed(id, name, why);
    }
    if (!isWhole) continue;
    for (const id of ids) {
      if (fresh.some((row) => row.id === id && row.file === file)) continue;
      const skip = run.skipped.find((item) => item.file === file);
      if (failures.length > 0 || skip === undefined)
        failed(id, failures[0]?.name ?? 'the file', failures[0]?.why);
      else fresh.push({ id, test: skip.name, file, figure: skip.reason, form, date, outcome: 'skipped' });
    }
  }
  const key = (row) => [row.id[0], row.id.slice(1).padStart(3, '0'), row.file, row.test].join('\n');
  return [...kept, ...fresh].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
/** Whether a test's name speaks of a promise: `M6` in "M2 …; M6 back soon". */
const names = (name, id) => new RegExp(`\\b${id}\\b`).test(name);

/** What a failure says first; "no figure" where it says nothing. */
const firstLine = (why) =>
  why?.split('\n')[0].replace(/^AssertionError \[ERR_ASSERTION\]: /, '') || 'no figure';

const OUTCOME = { held: '', failed: '**failed:** ', skipped: 'skipped: ' };

function table(promises, rows) {
  const lines = [];
  for (const [id, text] of Object.entries(promises)) {
    const own = rows.filter((row) => row.id === id);
    own.forEach((row, at) => {
      const promise = at === 0 ? `| ${id} | ${cell(text)} ` : '| | ';
      const figure = OUTCOME[row.outcome] + cell(row.figure) + (row.form === 'short' ? ' (short form)' : '');
      lines.push(`${promise}| ${cell(row.test)} (${row.file}) | ${figure} | ${row.date} |`);
    });
    if (own.length === 0) lines.push(`| ${id} | ${cell(text)} | not measured | | |`);
  }
  return lines.join('\n');
}

function render(promises, rows) {
  const ids = Object.keys(promises);
  const measured = ids.filter((id) => rows.some((row) => row.id === id && row.outcome === 'held'));
  const failed = ids.filter((id) => rows.some((row) => row.id === id && row.outcome === 'failed'));
  return `# Reliability

What the program promises, the test that holds it to that, and what the test measured. This file is made by \`npm run campaign\` from
what the tests report, never by hand; \`npm run campaign -- --only M2,T1\` renews some rows. *Short form* means the counts of
\`npm test\`, not the full ones. Times are wall-clock on the machine that ran it, unless the figure says virtual time.

${measured.length} of ${ids.length} promises measured${failed.length > 0 ? `; failed: ${failed.join(', ')}` : ''}.

| id | promise | test | figure | date |
|---|---|---|---|---|
${table(promises, rows)}
`;
}

/** Writes both files. */
export function writeRows(root, promises, rows) {
  writeFileSync(path.join(root, DATA), `${JSON.stringify(rows, undefined, 2)}\n`);
  writeFileSync(path.join(root, DOCUMENT), render(promises, rows));
}
