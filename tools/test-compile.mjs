/**
 * Compiles src/ to dist/ and the tests to plain JavaScript, once for a run of `npm test`, so that 200 processes need not
 * each load a compiler. The tests import dist/ in the place of src/: what is tested is what is built.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, isBuilt, isNewerThan } from './build.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** In node_modules, where git, the linter and npm look for nothing, and from where packages are found. */
const CACHE = path.join(ROOT, 'node_modules/.cache/exo-mesh');
/** `test/x.test.ts` becomes `test/x.test.js` in here. */
export const COMPILED = path.join(CACHE, 'tests');
/** Folders whose files are compiled. */
const FOLDERS = ['test', 'bench'];
const STAMP = path.join(COMPILED, '.compiled');

/** Compiles the tests; dist/ must be there. Returns the exit code. Types are checked by a stage of its own. */
function compileTests() {
  // What changes while the compiler runs is not in this build.
  const startedAt = new Date();
  const fresh = path.join(CACHE, `tests-${process.pid}`);
  const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [
    '-p',
    'tsconfig.json',
    '--noCheck',
    '--noEmit',
    'false',
    '--sourceMap',
    '--rootDir',
    '.',
    '--outDir',
    fresh,
  ];
  try {
    const { status, error } = spawnSync(process.execPath, [tsc, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 2, 2],
    });
    if (error !== undefined) console.error(`the compiler could not be started: ${error.message}`);
    if (status !== 0) return status ?? 1;
    // One copy of the program in each process, whether a test imports it or starts it.
    rmSync(path.join(fresh, 'src'), { recursive: true });
    symlinkSync(path.join(ROOT, 'dist'), path.join(fresh, 'src'), 'junction');
    writeFileSync(path.join(fresh, 'package.json'), '{"type":"module"}\n');
    for (const folder of FOLDERS) keepPlaces(fresh, folder);
    // Swapped in one step each: another run in this checkout finds a whole folder but for a moment.
    rmSync(COMPILED, { recursive: true, force: true });
    renameSync(fresh, COMPILED);
    writeFileSync(STAMP, '');
    utimesSync(STAMP, startedAt, startedAt);
    return 0;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** A test finds its data beside its source: `import.meta.url` stays the address of the source. */
function keepPlaces(compiled, folder) {
  for (const name of readdirSync(path.join(compiled, folder), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.js')) continue;
    const file = path.join(compiled, folder, name);
    const text = readFileSync(file, 'utf8');
    if (!text.includes('import.meta.url')) continue;
    const source = path.join(ROOT, folder, `${name.slice(0, -'.js'.length)}.ts`);
    writeFileSync(file, text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(source).href)));
  }
}

/** Where the compiled form of `test/x.test.ts` is. */
export function compiledFile(file) {
  return path.join(COMPILED, file.replace(/\.ts$/, '.js'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(CACHE, { recursive: true });
  let status = isBuilt() ? 0 : build();
  if (status === 0 && !isNewerThan(STAMP, FOLDERS)) status = compileTests();
  process.exitCode = status;
}
