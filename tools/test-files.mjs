/**
 * Runs test files, each in a process group of its own that goes with it, and says of each how it ended as soon as it has.
 * Called by test.mjs.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The runner ends a file in time; one that does not let itself be ended is killed so much later. */
const KILL_AFTER_MS = 10_000;
/** For the last of what it printed. */
const PIPES_MS = 1_000;
/** After so long without a line it is said what runs. */
const QUIET_MS_MAX = 60_000;

/** Groups that run now. */
const running = new Set();

/** Sends a signal to everything that runs. */
export function killRunning(signal) {
  for (const child of running) killGroup(child, signal);
}

function killGroup(child, signal) {
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It has just ended.
  }
}

/**
 * Runs a command to its end; what it started and left goes with it. Resolves with the exit code.
 * @param options `onOutput` gets what it prints; without it that goes to the terminal. `timeoutMs` ends it by SIGKILL.
 */
export function run(command, args, { env = process.env, onOutput, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const out = onOutput === undefined ? 'inherit' : 'pipe';
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', out, out],
      env,
      detached: process.platform !== 'win32',
    });
    running.add(child);
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', onOutput);
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), timeoutMs ?? 2 ** 31 - 1);
    child.once('error', (error) => (onOutput ?? console.log)(`${error.message}\n`));
    child.once('exit', () => {
      killGroup(child, 'SIGKILL');
      // Whoever left the group may hold the pipes for ever.
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, PIPES_MS).unref();
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      running.delete(child);
      resolve(code ?? 1);
    });
  });
}

/**
 * @param options `atOnce` files run beside each other, in the order given; a test may take `timeoutMs`; `compiled(file)` is
 *   what is run of it, `folder` is for files of this; `isOver()` ends it before the next file; `verbose` shows what tests say;
 *   `tests` is a pattern: only those of such a name run
 * @returns counts, skipped tests, failures and promises of all files together
 */
export async function runTestFiles(
  files,
  { atOnce, timeoutMs, env, compiled, folder, isOver, verbose, tests },
) {
  const waiting = [...files];
  const total = { passed: 0, failed: 0, skipped: [], failures: [], promises: [] };
  const since = new Map();
  let quiet;
  const print = (text) => {
    process.stdout.write(text);
    clearTimeout(quiet);
    quiet = setTimeout(sayWhatRuns, QUIET_MS_MAX);
  };
  const sayWhatRuns = () => {
    const now = performance.now();
    const items = [...since].map(([file, start]) => `${file} (${((now - start) / 1000).toFixed(0)} s)`);
    print(`  … ${items.join(', ')}\n`);
  };
  let done = 0;
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined && !isOver(); file = waiting.shift()) {
      const start = performance.now();
      since.set(file, start);
      const { counts, output } = await runFile(file, { timeoutMs, env, compiled, folder, tests });
      since.delete(file);
      done += 1;
      total.passed += counts.passed;
      total.failed += counts.failed;
      for (const key of ['skipped', 'failures', 'promises']) total[key].push(...counts[key]);
      const place = `${String(done).padStart(String(files.length).length)}/${files.length}`;
      const isOk = counts.failed === 0;
      const figures = counts.promises.map(({ id, figure }) => `${id}: ${figure}`);
      const said = verbose || !isOk ? [...counts.said, ...figures] : figures;
      print(
        [
          output,
          `  ${isOk ? '✔' : '✖'} ${place} ${file}  ${inWords(counts)}  ${((performance.now() - start) / 1000).toFixed(1)} s\n`,
          ...said.map((line) => `${line.replaceAll(/^/gm, '      ')}\n`),
        ].join(''),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, files.length) }, work));
  clearTimeout(quiet);
  return total;
}

function inWords({ passed, failed, skipped }) {
  const parts = [`${passed} passed`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (skipped.length > 0) parts.push(`${skipped.length} skipped`);
  return parts.join(', ');
}

async function runFile(file, { timeoutMs, env, compiled, folder, tests }) {
  const countsFile = path.join(folder, `${file.replaceAll('/', '-')}.json`);
  const args = [
    '--enable-source-maps',
    '--import',
    compiled('test/support/leaks-everywhere.ts'),
    '--test',
    `--test-timeout=${timeoutMs}`,
    ...(tests === undefined ? [] : [`--test-name-pattern=${tests}`]),
    '--test-reporter=./tools/test-reporter.mjs',
    '--test-reporter-destination=stdout',
    compiled(file),
  ];
  let output = '';
  const code = await run(process.execPath, args, {
    env: { ...env, EXO_TEST_COUNTS: countsFile, EXO_TEST_FILE: file },
    timeoutMs: timeoutMs + KILL_AFTER_MS,
    onOutput: (text) => {
      output += text;
    },
  });
  let counts;
  try {
    counts = JSON.parse(readFileSync(countsFile, 'utf8'));
    rmSync(countsFile);
  } catch {
    counts = { passed: 0, failed: 0, skipped: [], failures: [], promises: [], said: [] };
  }
  // A runner that fails without a failed test has still failed, and so has one that says nothing.
  const isEmpty = counts.passed + counts.failed + counts.skipped.length === 0;
  if ((code !== 0 && counts.failed === 0) || isEmpty) {
    counts.failed += 1;
    counts.failures.push({
      name: `the test runner ended with ${code}, without a failed test`,
      file,
      why: output.slice(-2_000),
    });
  }
  return { counts, output };
}
