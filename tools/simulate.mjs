/**
 * `npm run simulate`: installs what the simulation needs, compiles it as `npm test` does (names that a loader keeps for each
 * function cost a tenth of the time) and runs test/simulation/main.ts with the same arguments.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureNpmPackages } from './npm-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
if (!ensureNpmPackages(ROOT)) process.exit(1);
const { COMPILED, compiledFile } = await import('./test-compile.mjs');
const run = (file, args = []) =>
  spawnSync(process.execPath, [file, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, EXO_TEST_COMPILED: COMPILED },
  }).status ?? 1;
process.exitCode =
  run(path.join(ROOT, 'tools/test-compile.mjs')) ||
  run(compiledFile('test/simulation/main.ts'), process.argv.slice(2));
