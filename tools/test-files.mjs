/**
 * Runs test files, each in a process group of its own that goes with it, and says of each how it ended as soon as it has.
 * Called by test.mjs.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** A file that takes too long is asked to end, and killed so much later: it says which test it is in. */
const KILL_AFTER_MS = 10_000;
/** Of what a file that fails has printed. */
const PRINTED_CHARS_MAX = 8_000;
/** Of that, where nothing else says why. */
const WHY_CHARS_MAX = 2_000;
const NO_COUNTS = '{"passed":0,"failed":0,"skipped":[],"failures":[],"promises":[],"said":[]}';
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

function yieldProcessor(pid) {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has just ended.
  }
}

/**
 * Runs a command to its end; what it started and left goes with it. Resolves with the exit code.
 * @param options `onOutput` gets what it prints; without it that goes to the terminal. `timeoutMs` ends it by SIGTERM, then SIGKILL.
 *   `isLast`: it gets only what all others leave of the processor.
 */
export function run(command, args, { env = process.env, onOutput, timeoutMs, isLast = false } = {}) {
  return new Promise((resolve) => {
    const out = onOutput === undefined ? 'inherit' : 'pipe';
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', out, out],
      env,
      detached: process.platform !== 'win32',
    });
    running.add(child);
    if (isLast && child.pid !== undefined) yieldProcessor(child.pid);
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', onOutput);
    let kill;
    const timer = setTimeout(
      () => {
        child.kill('SIGTERM');
        kill = setTimeout(() => killGroup(child, 'SIGKILL'), KILL_AFTER_MS);
      },
      timeoutMs ?? 2 ** 31 - 1,
    );
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
      clearTimeout(kill);
      running.delete(child);
      resolve(code ?? 1);
    });
  });
}

/**
 * @param options `atOnce` files run beside each other, in the order given, behind everything else on the machine where it is `isLast`; each may take `timeoutMs`; `compiled(file)` is
 *   what is run of it, `folder` is for files of this; `isOver()` ends it before the next file; `verbose` shows what tests say;
 *   `tests` is a pattern: only those of such a name run
 * @returns counts, skipped tests, failures and promises of all files together
 */
export async function runTestFiles(
  files,
  { atOnce, isLast, timeoutMs, env, compiled, folder, isOver, verbose, tests },
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
      const { counts, output } = await runFile(file, { isLast, timeoutMs, env, compiled, folder, tests });
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

async function runFile(file, { isLast, timeoutMs, env, compiled, folder, tests }) {
  const place = path.join(folder, file.replaceAll('/', '-'));
  const [countsFile, reportFile] = [`${place}.json`, `${place}.txt`];
  // Node's runner would start one more process for each file.
  const args = [
    '--enable-source-maps',
    '--import',
    compiled('test/support/leaks.ts'),
    ...(tests === undefined ? [] : [`--test-name-pattern=${tests}`]),
    '--test-reporter=./tools/test-reporter.mjs',
    `--test-reporter-destination=${reportFile}`,
    compiled(file),
  ];
  let printed = '';
  const code = await run(process.execPath, args, {
    env: { ...env, EXO_TEST_COUNTS: countsFile, EXO_TEST_FILE: file },
    timeoutMs,
    isLast,
    onOutput: (text) => {
      printed = (printed + text).slice(-PRINTED_CHARS_MAX);
    },
  });
  const report = takeFile(reportFile) ?? '';
  const counts = JSON.parse(takeFile(countsFile) ?? NO_COUNTS);
  // A process that fails without a failed test has still failed, and so has one without a test.
  const isEmpty = counts.passed + counts.failed + counts.skipped.length === 0;
  if ((code !== 0 && counts.failed === 0) || isEmpty) {
    counts.failed += 1;
    const why =
      isEmpty && code === 0
        ? 'the file contains no test'
        : `the file ended with ${code}, without a failed test`;
    counts.failures.push({ name: why, file, why: printed.slice(-WHY_CHARS_MAX) });
  }
  const isOk = counts.failed === 0;
  return {
    counts,
    output: isOk || printed === '' ? report : `${report}      --- printed by this file\n${printed}\n`,
  };
}

/** Its text; undefined where there is none. It is removed. */
function takeFile(file) {
  try {
    const text = readFileSync(file, 'utf8');
    rmSync(file);
    return text;
  } catch {
    return undefined;
  }
}
