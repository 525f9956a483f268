/**
 * The programs of bench/exo as they are shipped: compiled once a run, with what they import. A loader that compiles while it
 * loads would be measured too: about 7 % of a small round trip, and 35 MB.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Inside node_modules, so that packages are found from there. */
const OUT = path.join(ROOT, 'node_modules/.cache/exo-bench');
let done = false;

/** The compiled form of a .ts file of bench/, as a path. Throws what the compiler says. */
export function compiled(file: string): string {
  if (!done) compile();
  done = true;
  return path.join(OUT, 'bench', file.replace(/\.ts$/, '.js'));
}

function compile(): void {
  mkdirSync(OUT, { recursive: true });
  writeFileSync(path.join(OUT, 'package.json'), '{"type":"module"}\n');
  const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(
    process.execPath,
    [tsc, '-p', path.join(ROOT, 'bench/tsconfig.json'), '--outDir', OUT],
    { cwd: ROOT, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`bench/exo does not compile:\n${stdout}`);
}
