/** `npm run simulate`: installs what the simulation needs and runs test/simulation/main.ts with the same arguments. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ensureNpmPackages } from './npm-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
if (!ensureNpmPackages(ROOT)) process.exit(1);
const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', 'test/simulation/main.ts', ...process.argv.slice(2)],
  { cwd: ROOT, stdio: 'inherit' },
);
process.exit(status ?? 1);
