/**
 * `npm run bench:inference`: how fast the ggml engine computes, beside libllama of the same npm package, the memory, and a ring of
 * two processes. Makes a model of 1 GB with random weights in the folder for temporary files and removes it.
 *
 *   npm run bench:inference -- --small --only ring --json rows.json
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ensureNpmPackages } from './npm-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
if (!ensureNpmPackages(ROOT)) process.exit(1);
const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', 'bench/inference/main.ts', ...process.argv.slice(2)],
  { cwd: ROOT, stdio: 'inherit' },
);
process.exit(status ?? 1);
