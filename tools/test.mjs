/**
 * `npm test`: everything that CI runs, from a clean clone. Stages in order; each prints a header and its time.
 *
 *   npm test                              all stages
 *   npm test -- --only unit               one stage (repeatable)
 *   npm test -- test/lab/lab.test.ts      only these files
 *   npm test -- --tests 'of a node' test/e2e/x.test.ts   only tests whose name has this (a regular expression)
 *   npm test -- --campaign                full counts: long fuzz, many seeds, many repetitions
 *   npm test -- --verbose                 also what passing tests say (figures, seeds)
 *   npm test -- --results out.json        also writes counts, failures and what was measured of the promises
 *
 * Its first line is the seed of all that its tests draw; EXO_TEST_SEED=… replays it.
 * The last line is always `N passed, N failed, N skipped`; the exit code is 0 only when nothing failed.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.mjs';
import { ensureNpmPackages } from './npm-packages.mjs';
import { ensureSystemPackages } from './system-packages.mjs';
import { COMPILED, compiledFile } from './test-compile.mjs';
import { killRunning, run, runTestFiles } from './test-files.mjs';
import { testSeed } from './test-seed.mjs';

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
/** A hundred nodes in one process that agree within two seconds of real time: they need a core for themselves. */
const ALONE = ['test/node/convergence.test.ts'];
/** Every test of which the machine's own speed is a part. */
const isMeasured = (file) => isProcess(file) || isNetns(file) || ALONE.includes(file);
/** Files at once where that disturbs none: one more than cores, because each waits now and then. */
const BESIDE = availableParallelism() + 1;
/**
 * Tests of whole processes measure how soon something happens, on all cores there are: one file at a time. These are the
 * exceptions: they wait most of their time, or measure nothing that has not seconds to spare.
 */
const PATIENT = [
  'test/cli/demo.netns.test.ts',
  'test/e2e/bad-models.test.ts',
  'test/e2e/chat-options.test.ts',
  'test/e2e/connect-keeps.netns.test.ts',
  'test/e2e/connect.netns.test.ts',
  'test/e2e/discovery.netns.test.ts',
  'test/e2e/fetching-faults.test.ts',
  'test/e2e/fetching-pull.test.ts',
  'test/e2e/fetching.test.ts',
  'test/e2e/hostile-slow.test.ts',
  'test/e2e/http-trust.test.ts',
  'test/e2e/legacy-alone.test.ts',
  'test/e2e/legacy-interop.test.ts',
  'test/e2e/nat.netns.test.ts',
  'test/e2e/partition.netns.test.ts',
  'test/e2e/placement.test.ts',
  'test/e2e/real-faults.test.ts',
  'test/e2e/real-load.test.ts',
  'test/e2e/real-mixed-ring.test.ts',
  'test/e2e/real-model.test.ts',
  'test/e2e/ring.test.ts',
  'test/e2e/seed-run.netns.test.ts',
  'test/e2e/tunnel-cli.test.ts',
  'test/e2e/tunnel-faults.netns.test.ts',
  'test/e2e/tunnel-refusals.test.ts',
  'test/e2e/tunnel-seeds.netns.test.ts',
  'test/lab/lab.test.ts',
  'test/lab/sshd.test.ts',
];
/**
 * They compute, and wait for nothing that could come too late. In a whole run they get what is left of the processor by the files of
 * the next stage, which wait half of the time.
 */
const COMPUTING = [
  'test/api/json-reader.test.ts',
  'test/discovery/peers-edit.test.ts',
  'test/inference/answers/generation-recovery.test.ts',
  'test/inference/ggml/compliance.test.ts',
  'test/inference/ggml/golden.test.ts',
  'test/inference/ggml/made-files.test.ts',
  'test/inference/ggml/quantised.test.ts',
  'test/inference/ggml/shard.test.ts',
  'test/inference/sampling/sampler.test.ts',
  'test/models/download-kill.test.ts',
  'test/node/membership-stress.test.ts',
  'test/node/mesh.test.ts',
  'test/protocol/frame-decoder.test.ts',
  'test/protocol/message-codec.test.ts',
  'test/simulation/simulation.test.ts',
  'test/topology/gossip.test.ts',
  'test/trust/authenticator.test.ts',
  'test/tunnels/destination.test.ts',
  'test/tunnels/known-hosts.test.ts',
  'test/tunnels/parse-spec.test.ts',
];
/** The longest begin first, or the last of them would run with idle cores beside it. */
const LONG = [
  'test/models/download-kill.test.ts',
  'test/simulation/simulation.test.ts',
  'test/tunnels/openssh-driver.test.ts',
  'test/tunnels/ssh2-driver.test.ts',
  'test/fuzz/fuzz.test.ts',
  'test/models/threaded-tokenizer.test.ts',
  'test/models/sharing.test.ts',
  'test/fuzz/planted.test.ts',
  'test/protocol/tls-transport.test.ts',
  'test/topology/gossip.test.ts',
  'test/e2e/connect.netns.test.ts',
  'test/e2e/real-faults.test.ts',
  'test/e2e/real-load.test.ts',
  'test/e2e/fetching.test.ts',
  'test/e2e/tunnel-cycles.test.ts',
  'test/e2e/legacy-interop.test.ts',
];
const STAGES = [
  { name: 'typecheck', command: () => tool('typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit') },
  { name: 'lint', command: () => tool('@biomejs/biome/bin/biome', 'check', '.') },
  { name: 'build', command: () => [process.execPath, [path.join(ROOT, 'tools/test-compile.mjs')]] },
  { name: 'house', tests: isHouse },
  { name: 'unit', tests: (file) => !isHouse(file) && !isProcess(file) && !isNetns(file) },
  { name: 'process', tests: isProcess },
  { name: 'netns', tests: isNetns },
];

const { values: options, positionals: onlyFiles } = readArguments(import.meta.url, {
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true },
    campaign: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    results: { type: 'string' },
    tests: { type: 'string' },
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
// A file that moved would lose its place without a word.
const moved = [...ALONE, ...PATIENT, ...COMPUTING, ...LONG].find(
  (file) => !existsSync(path.join(ROOT, file)),
);
if (moved !== undefined) {
  console.error(`${moved} is named in tools/test.mjs and is no more: correct its lists`);
  process.exit(2);
}
for (const file of onlyFiles) {
  if (!existsSync(path.resolve(ROOT, file))) {
    console.error(`${file}: no such file`);
    process.exit(2);
  }
}

const env = { ...process.env };
if (options.campaign) Object.assign(env, { EXO_TEST_SCALE: 'campaign', EXO_FUZZ_MS: '600000' });
try {
  env.EXO_TEST_SEED = testSeed(ROOT, { ofCommit: !options.campaign && onlyFiles.length === 0 });
} catch (error) {
  console.error(error.message);
  process.exit(2);
}
const NOTHING = { passed: 0, failed: 0, skipped: [], failures: [], promises: [] };
const total = structuredClone(NOTHING);
let cancelled;

function cancel(why) {
  cancelled ??= why;
  console.log(`\n${why}`);
  killRunning('SIGTERM');
  setTimeout(() => killRunning('SIGKILL'), 6_000).unref();
}

function testFiles() {
  if (onlyFiles.length > 0) return onlyFiles.map((file) => path.relative(ROOT, path.resolve(ROOT, file)));
  return readdirSync(path.join(ROOT, 'test'), { recursive: true })
    .map((file) => path.join('test', file).split(path.sep).join('/'))
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
}

/** Whether the computing files run beside those of the stage after theirs. */
const isWholeRun = onlyFiles.length === 0 && options.only === undefined && !options.campaign;

/** @param computing files of another stage, for what this one leaves of the processor */
async function runTests(files, computing) {
  const folder = mkdtempSync(path.join(tmpdir(), 'exo-npm-test-'));
  const nemesisMinutes = Number(process.env.EXO_NEMESIS_MINUTES ?? 0);
  const common = {
    timeoutMs: (options.campaign ? 60 + nemesisMinutes : 10) * MINUTE_MS,
    // No port is given to tests of two files of one stage.
    env: { ...env, EXO_TEST_COMPILED: COMPILED, EXO_TEST_PORTS: path.join(folder, 'ports') },
    compiled: compiledFile,
    folder,
    isOver: () => cancelled !== undefined,
    verbose: options.verbose || options.campaign,
    tests: options.tests,
  };
  // The figures of a campaign are published: each file has the machine for itself.
  const isQuick = (file) => !isMeasured(file) || (PATIENT.includes(file) && !options.campaign);
  const rank = (file) => (LONG.includes(file) ? LONG.indexOf(file) : LONG.length);
  const byLength = (some) => some.toSorted((a, b) => rank(a) - rank(b));
  const sorted = byLength(files);
  try {
    const inFront = async () => {
      const beside = await runTestFiles(sorted.filter(isQuick), {
        ...common,
        atOnce: options.campaign ? 2 : BESIDE,
      });
      const alone = await runTestFiles(
        sorted.filter((file) => !isQuick(file)),
        { ...common, atOnce: 1 },
      );
      return sum(beside, alone);
    };
    const behind = { ...common, atOnce: availableParallelism(), isLast: true };
    const [front, back] = await Promise.all([inFront(), runTestFiles(byLength(computing), behind)]);
    return sum(front, back);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sum(a, b) {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: [...a.skipped, ...b.skipped],
    failures: [...a.failures, ...b.failures],
    promises: [...a.promises, ...b.promises],
  };
}

async function runStage(stage) {
  if (stage.command !== undefined) {
    const [command, args] = stage.command();
    const isOk = (await run(command, args, { env })) === 0;
    const failures = isOk ? [] : [{ name: stage.name, file: '' }];
    return { ...NOTHING, passed: isOk ? 1 : 0, failed: failures.length, failures };
  }
  const files = testFiles().filter(stage.tests);
  if (!isWholeRun) return runTests(files, []);
  return runTests(
    files.filter((file) => !COMPUTING.includes(file)),
    stage.name === 'process' ? COMPUTING : [],
  );
}

function wanted(stage) {
  // Every test runs from what the build made.
  if (stage.name === 'build')
    return options.only?.every((name) => ['typecheck', 'lint'].includes(name)) !== true;
  if (options.only !== undefined) return options.only.includes(stage.name);
  if (onlyFiles.length === 0) return true;
  return stage.tests !== undefined && testFiles().some(stage.tests);
}

function finish() {
  const at = (item) => (['', item.name].includes(item.file) ? item.name : `${item.name} (${item.file})`);
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

console.log(`EXO_TEST_SEED=${env.EXO_TEST_SEED}`);
const started = performance.now();
const stages = STAGES.filter(wanted);
if (!ensureNpmPackages(ROOT)) {
  total.failed += 1;
  total.failures.push({ name: 'npm ci', file: '' });
} else {
  if (stages.some((stage) => stage.tests !== undefined)) ensureSystemPackages();
  for (const stage of stages) {
    if (cancelled !== undefined) break;
    const since = performance.now();
    console.log(`\n=== ${stage.name}`);
    const counts = await runStage(stage);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped.push(...counts.skipped);
    total.failures.push(...counts.failures);
    total.promises.push(...counts.promises);
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
