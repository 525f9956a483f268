/**
 * `npm run build`: compiles src/ to dist/, puts the programs together (bundle.mjs) and makes the command executable. With
 * `--if-needed` only where a source is newer than the last build.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const STAMP = path.join(ROOT, 'dist/.built');
const MAIN = path.join(ROOT, 'dist/cli/main.js');
/** Folders of src/ that hold data, which the compiler does not copy. */
const DATA = ['models/demo'];
/** What the outcome depends on besides src/. */
const INPUTS = [
  ...['tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json'],
  ...['tools/build.mjs', 'tools/bundle.mjs'],
];

/** Milliseconds since the epoch; -1 where the file is missing. */
function changedMs(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -1;
}

/**
 * Whether a file was written after everything in these folders, and what else the outcome depends on, last changed. A folder
 * changes when a file in it is added, renamed or removed.
 */
export function isNewerThan(stamp, folders) {
  const stampMs = changedMs(stamp);
  const inside = (folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      path.join(folder, name),
    );
  const names = [...INPUTS, ...folders, ...folders.flatMap(inside)];
  return names.every((name) => changedMs(path.join(ROOT, name)) <= stampMs);
}

/** Whether dist/ was made from what is there now. */
export function isBuilt() {
  return changedMs(MAIN) >= 0 && isNewerThan(STAMP, ['src']);
}

/** Compiles and bundles; returns the exit code. What is wrong has been said then. */
export function build() {
  // What changes while the compiler runs is not in this build.
  const startedAt = new Date();
  const status =
    run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json') || run('tools/bundle.mjs');
  if (status !== 0) return status;
  for (const folder of DATA) {
    cpSync(path.join(ROOT, 'src', folder), path.join(ROOT, 'dist', folder), { recursive: true });
  }
  chmodSync(MAIN, 0o755);
  writeFileSync(STAMP, '');
  utimesSync(STAMP, startedAt, startedAt);
  return 0;
}

/** Runs a script of this repository; its exit code. */
function run(script, ...args) {
  const { status, error } = spawnSync(process.execPath, [path.join(ROOT, script), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  if (error !== undefined) console.error(`${script} could not be started: ${error.message}`);
  return status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const needed = !process.argv.includes('--if-needed') || !isBuilt();
  process.exitCode = needed ? build() : 0;
}
