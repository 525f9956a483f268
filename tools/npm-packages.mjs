/**
 * Sees to it that node_modules is what package-lock.json says, without a network call when it already is.
 * Called by the commands that must work from a clean clone. Plain Node: nothing is installed yet when it runs.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Whether every required package of the lockfile is installed in its version. */
export function npmPackagesPresent(root) {
  try {
    const read = (file) => JSON.parse(readFileSync(path.join(root, file), 'utf8')).packages;
    const wanted = read('package-lock.json');
    const installed = read('node_modules/.package-lock.json');
    return Object.entries(wanted).every(
      ([name, entry]) => name === '' || entry.optional === true || installed[name]?.version === entry.version,
    );
  } catch {
    return false;
  }
}

/** Runs `npm ci` when something is missing. Returns false when that failed. */
export function ensureNpmPackages(root) {
  if (npmPackagesPresent(root)) return true;
  console.log('npm packages are missing or of another version: npm ci');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const result = spawnSync(npm, ['ci', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  return result.status === 0;
}
