/**
 * `npm run bench:tunnels`: how long a tunnel of ours and one of autossh take to work again after the same faults, in one run
 * (about 20 minutes). Installs what it needs where it may, builds, and writes the table into docs/TUNNELS.md.
 *
 *   npm run bench:tunnels -- --rounds 1 --no-write --only kill
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { ensureNpmPackages } from './npm-packages.mjs';
import { ensureSystemPackages } from './system-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
if (!ensureNpmPackages(ROOT)) process.exit(1);
ensureSystemPackages([{ program: 'autossh', package: 'autossh', skips: 'the comparison with autossh' }]);
if (!isBuilt() && build() !== 0) process.exit(1);
const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', 'bench/autossh/main.ts', ...process.argv.slice(2)],
  { cwd: ROOT, stdio: 'inherit' },
);
process.exit(status ?? 1);
