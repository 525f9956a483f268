/**
 * `npm run campaign`: runs the tests in full and writes docs/RELIABILITY.md from what they report (test/support/promise.ts).
 *
 *   npm run campaign                     everything, hours
 *   npm run campaign -- --only M2,T1     only the files that measure these promises; the other rows keep figures and dates
 *   npm run campaign -- --only R4 --tests spare     only tests of these files whose name has this (a regular expression)
 *   npm run campaign -- --minutes 60     how long the nemesis runs (5 by default)
 *   npm run campaign -- --short          with the counts of `npm test`; the rows say so
 *   npm run campaign -- --render         runs nothing; writes the document from the figures that are there
 *
 * The figures stand in docs/reliability.json. Only this program writes either file.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.mjs';
import { ensureNpmPackages } from './npm-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = readArguments(import.meta.url, {
  options: {
    only: { type: 'string' },
    tests: { type: 'string' },
    minutes: { type: 'string', default: '5' },
    short: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
  },
});
if (!ensureNpmPackages(ROOT)) process.exit(1);
const { tsImport } = await import('tsx/esm/api');
const { PROMISES } = await tsImport('../test/support/promise.ts', import.meta.url);
const { merge, readRows, writeRows } = await import('./reliability.mjs');

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(2);
}

/** Every file with a test → the promises that it measures, read from its calls of `promise`. */
function measuredBy() {
  const found = new Map();
  for (const name of readdirSync(path.join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.test.ts')) continue;
    const file = path.join('test', name).split(path.sep).join('/');
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    const ids = new Set([...text.matchAll(/\bpromise\(\s*\w+,\s*'([A-Z]\d+)'/g)].map((match) => match[1]));
    if (ids.size > 0) found.set(file, ids);
  }
  return found;
}

const matches = new RegExp(options.tests ?? '');
const minutes = Number(options.minutes);
if (!(minutes > 0 && minutes <= 600)) fail(`--minutes ${options.minutes}: give 0 to 600`);
const only = options.only?.split(',').map((id) => id.trim().toUpperCase());
for (const id of only ?? []) {
  if (!(id in PROMISES)) fail(`--only ${id}: no such promise; there are ${Object.keys(PROMISES).join(', ')}`);
}

if (options.render) {
  writeRows(ROOT, PROMISES, readRows(ROOT));
  process.exit(0);
}

const measured = measuredBy();
const wanted = (ids) => only === undefined || only.some((id) => ids.has(id));
const files = [...measured].filter(([, ids]) => wanted(ids)).map(([file]) => file);
if (files.length === 0) fail(`no test measures ${only.join(', ')}`);

const folder = mkdtempSync(path.join(tmpdir(), 'exo-campaign-'));
try {
  const results = path.join(folder, 'results.json');
  const args = [path.join(ROOT, 'tools/test.mjs'), '--results', results];
  if (!options.short) args.push('--campaign');
  if (options.tests !== undefined) args.push('--tests', options.tests);
  if (only !== undefined) args.push(...files);
  const { status } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    // In the short form the tests choose for themselves, unless a time was given.
    env: options.short ? process.env : { ...process.env, EXO_NEMESIS_MINUTES: String(minutes) },
  });
  const run = JSON.parse(readFileSync(results, 'utf8'));
  const rows = merge(readRows(ROOT), run, {
    // Other promises that these files measure were measured as well.
    ran: new Map(files.map((file) => [file, measured.get(file)])),
    measured,
    isRun: (test) => matches.test(test),
    isWhole: options.tests === undefined,
    form: options.short ? 'short' : 'full',
    date: new Date().toISOString().slice(0, 10),
  });
  writeRows(ROOT, PROMISES, rows);
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
