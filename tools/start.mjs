/**
 * `npm start`: from a bare checkout to the running demo. Installs what is missing, builds what has changed, then runs
 * `exo demo` with the arguments given. Plain Node without packages, because none may be there yet.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { npmPackagesPresent } from './npm-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

function fail(message, hint) {
  console.error(`error: ${message}\nhint: ${hint}`);
  process.exit(1);
}

function checkNode() {
  const wanted = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')).engines.node;
  const numbers = (text) => text.replace(/^\D*/, '').split('.').map(Number);
  const [major, minor = 0] = numbers(wanted);
  const [ownMajor, ownMinor] = numbers(process.versions.node);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return;
  fail(
    `this is Node ${process.versions.node}, and exo needs ${wanted}`,
    'install a newer one from https://nodejs.org, or with your version manager: nvm install 22',
  );
}

/** npm as the one that runs us, or the one on the PATH. */
function npmCommand() {
  const own = process.env.npm_execpath;
  if (own !== undefined && /\.[cm]?js$/.test(own)) return { command: process.execPath, args: [own] };
  return { command: process.platform === 'win32' ? 'npm.cmd' : 'npm', args: [] };
}

/** Runs npm; what it says goes to stderr. */
function npm(...words) {
  const { command, args } = npmCommand();
  const { status, signal, error } = spawnSync(
    command,
    [...args, ...words, '--include=dev', '--no-fund', '--no-audit'],
    {
      cwd: ROOT,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
    },
  );
  if (error?.code === 'ENOENT') fail('npm was not found', 'npm comes with Node: https://nodejs.org');
  if (signal !== null && signal !== undefined) process.exit(130);
  return status ?? 1;
}

function install() {
  console.error('installing the packages (npm ci), once …');
  if (npm('ci') === 0) return;
  // A registry that lacks packages for other platforms makes npm ci refuse the lockfile; the versions stay those of it.
  console.error('npm ci did not work; trying npm install, with the versions of the lockfile …');
  const code = npm('install', '--no-save');
  if (code !== 0) fail(`npm install ended with ${code}`, 'what it said is above; is the network there?');
}

/** Runs the demo in the same terminal; signals that reach only this process are passed on. */
function demo(args) {
  const main = path.join(ROOT, 'dist/cli/main.js');
  const child = spawn(process.execPath, [main, 'demo', ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    });
  }
  child.once('error', (error) => fail(`the demo could not be started: ${error.message}`, 'try again'));
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

checkNode();
if (!npmPackagesPresent(ROOT)) install();
if (!isBuilt()) {
  console.error('building …');
  const code = build();
  if (code !== 0) fail('the build failed; what the compiler said is above', 'are local changes the reason?');
}
demo(process.argv.slice(2));
