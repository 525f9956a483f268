/**
 * `npm test`: everything that CI runs, from a clean clone. Stages in order; each prints a header and its time.
 *
 *   npm test                              all stages
 *   npm test -- --only unit               one stage (repeatable)
 *   npm test -- test/lab/lab.test.ts      only these files
 *   npm test -- --campaign                full counts: long fuzz, many seeds, many repetitions
 *   npm test -- --results out.json        also writes counts, failures and what was measured of the promises
 *
 * The last line is always `N passed, N failed, N skipped`; the exit code is 0 only when nothing failed.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.mjs';
import { ensureNpmPackages } from './npm-packages.mjs';
import { ensureSystemPackages } from './system-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MINUTE_MS = 60_000;
/** The whole run is meant to take under 15 minutes on two cores; at this point something hangs. */
const RUN_DEADLINE_MS = 50 * MINUTE_MS;
const CAMPAIGN_DEADLINE_MS = 12 * 60 * MINUTE_MS;

const bin = (name) => path.join(ROOT, 'node_modules', name);
const tool = (file, ...args) => [process.execPath, [bin(file), ...args]];

/** Each stage is a command, or a choice of test files. `tests: (file) => boolean`. */
const isNetns = (file) => file.startsWith('test/lab/') || file.endsWith('.netns.test.ts');
const isHouse = (file) => file.startsWith('test/house/');
const isProcess = (file) => file.startsWith('test/e2e/') && !isNetns(file);
const STAGES = [
  { name: 'typecheck', command: () => tool('typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit') },
  { name: 'lint', command: () => tool('@biomejs/biome/bin/biome', 'check', '.') },
  { name: 'build', command: () => [process.execPath, [path.join(ROOT, 'tools/build.mjs')]] },
  { name: 'house', tests: isHouse, parallel: 2 },
  { name: 'unit', tests: (file) => !isHouse(file) && !isProcess(file) && !isNetns(file), parallel: 2 },
  // One file at a time: these measure how soon something happens, on all cores there are.
  { name: 'process', tests: isProcess, parallel: 1 },
  { name: 'netns', tests: isNetns, parallel: 1 },
];

const { values: options, positionals: onlyFiles } = readArguments(import.meta.url, {
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true },
    campaign: { type: 'boolean', default: false },
    results: { type: 'string' },
  },
});
for (const name of options.only ?? []) {
  if (!STAGES.some((stage) => stage.name === name)) {
    console.error(
      `--only ${name}: no such stage; the stages are ${STAGES.map((stage) => stage.name).join(', ')}`,
    );
    process.exit(2);
  }
}
for (const file of onlyFiles) {
  if (!existsSync(path.resolve(ROOT, file))) {
    console.error(`${file}: no such file`);
    process.exit(2);
  }
}

const env = { ...process.env };
if (options.campaign) Object.assign(env, { EXO_TEST_SCALE: 'campaign', EXO_FUZZ_MS: '600000' });
const total = { passed: 0, failed: 0, skipped: [], failures: [], promises: [] };
let current;
let cancelled;

function cancel(why) {
  cancelled ??= why;
  console.log(`\n${why}`);
  killGroup('SIGTERM');
  setTimeout(() => killGroup('SIGKILL'), 6_000).unref();
}

/** The running stage leads a process group of its own: what its tests started goes with it. */
function killGroup(signal) {
  if (current === undefined) return;
  try {
    if (process.platform === 'win32') current.kill(signal);
    else process.kill(-current.pid, signal);
  } catch {
    // It has just ended.
  }
}

function run(command, args, extraEnv = {}) {
  return new Promise((resolve) => {
    const detached = process.platform !== 'win32';
    current = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...env, ...extraEnv },
      detached,
    });
    const done = (code) => {
      killGroup('SIGKILL');
      current = undefined;
      resolve(code);
    };
    current.once('error', (error) => {
      console.log(error.message);
      done(127);
    });
    current.once('exit', (code) => done(code ?? 1));
  });
}

function testFiles() {
  if (onlyFiles.length > 0) return onlyFiles.map((file) => path.relative(ROOT, path.resolve(ROOT, file)));
  return readdirSync(path.join(ROOT, 'test'), { recursive: true })
    .map((file) => path.join('test', file).split(path.sep).join('/'))
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
}

async function runTests(files, parallel) {
  const folder = mkdtempSync(path.join(tmpdir(), 'exo-npm-test-'));
  const countsFile = path.join(folder, 'counts.json');
  const nemesisMinutes = Number(process.env.EXO_NEMESIS_MINUTES ?? 0);
  const timeoutMs = (options.campaign ? 60 + nemesisMinutes : 4) * MINUTE_MS;
  const args = [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${parallel}`,
    `--test-timeout=${timeoutMs}`,
    `--test-reporter=./tools/test-reporter.mjs`,
    '--test-reporter-destination=stdout',
    ...files,
  ];
  const code = await run(process.execPath, args, { EXO_TEST_COUNTS: countsFile });
  try {
    const counts = JSON.parse(readFileSync(countsFile, 'utf8'));
    // A runner that fails without a failed test has still failed.
    if (code !== 0 && counts.failed === 0) {
      counts.failed = 1;
      counts.failures.push({ name: `the test runner ended with ${code}`, file: '' });
    }
    return counts;
  } catch {
    return {
      passed: 0,
      failed: 1,
      skipped: [],
      failures: [{ name: `the test runner ended with ${code} and no counts`, file: '' }],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runStage(stage) {
  if (stage.command !== undefined) {
    const code = await run(...stage.command());
    return code === 0
      ? { passed: 1, failed: 0, skipped: [], failures: [] }
      : { passed: 0, failed: 1, skipped: [], failures: [{ name: stage.name, file: '' }] };
  }
  return runTests(testFiles().filter(stage.tests), stage.parallel);
}

function wanted(stage) {
  if (options.only !== undefined) return options.only.includes(stage.name);
  if (onlyFiles.length === 0) return true;
  if (stage.name === 'build') return testFiles().some((file) => isProcess(file) || isNetns(file));
  return stage.tests !== undefined && testFiles().some(stage.tests);
}

function finish() {
  const at = (item) => (item.file === '' ? item.name : `${item.name} (${item.file})`);
  if (total.skipped.length > 0) console.log('\nskipped:');
  for (const item of total.skipped) console.log(`  ${at(item)}: ${item.reason}`);
  if (total.failures.length > 0) console.log('\nfailed:');
  for (const item of total.failures) {
    console.log(`  ${at(item)}`);
    // Once more, where it is looked for: the stage that printed it may be thousands of lines above.
    if (item.why !== undefined) console.log(item.why.replaceAll(/^/gm, '      '));
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped.length} skipped`);
  process.exitCode = total.failed === 0 ? 0 : 1;
  if (options.results !== undefined) writeFileSync(options.results, JSON.stringify(total));
}

const deadlineMs = options.campaign ? CAMPAIGN_DEADLINE_MS : RUN_DEADLINE_MS;
setTimeout(
  () => cancel(`the run took longer than ${deadlineMs / MINUTE_MS} minutes and was stopped`),
  deadlineMs,
).unref();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => cancel(`stopped by ${signal}`));

const started = performance.now();
const stages = STAGES.filter(wanted);
if (!ensureNpmPackages(ROOT)) {
  total.failed += 1;
  total.failures.push({ name: 'npm ci', file: '' });
} else {
  if (stages.some((stage) => stage.name === 'netns')) ensureSystemPackages();
  for (const stage of stages) {
    if (cancelled !== undefined) break;
    const since = performance.now();
    console.log(`\n=== ${stage.name}`);
    const counts = await runStage(stage);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped.push(...counts.skipped);
    total.failures.push(...counts.failures);
    total.promises.push(...(counts.promises ?? []));
    const took = ((performance.now() - since) / 1000).toFixed(1);
    console.log(
      `--- ${stage.name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped.length} skipped, ${took} s`,
    );
  }
  if (cancelled !== undefined) {
    total.failed += 1;
    total.failures.push({ name: cancelled, file: '' });
  }
}
console.log(`\nall stages: ${((performance.now() - started) / 1000).toFixed(1)} s`);
finish();
