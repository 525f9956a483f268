/**
 * The second half of `npm run build`: puts the programs of dist/ together from their single files and packages, into a few
 * files in dist/program. A start of a node then reads some 40 files instead of 770 (docs/adr/0025-programs-in-few-files.md).
 * The single files stay beside it for tests and benches; no process loads both. build.mjs calls it.
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = path.join(ROOT, 'dist');
const FOLDER = 'program';

/** What is started as a process or a thread of its own: name in dist/program, and the file that others start. */
const PROGRAMS = {
  main: 'cli/main.js',
  engine: 'inference/engines/ggml/child/program.js',
  guard: 'tunnels/openssh/guard-process.js',
  tokenizer: 'models/tokenizer/thread/program.js',
};

/** Packages with native parts or files that they look for beside themselves: they stay in node_modules. */
const EXTERNAL = ['koffi', 'ssh2'];

/** Of packages that are CommonJS: what Node gives such a file, it lacks inside a module. */
const COMMONJS =
  "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);";

/** A file that asks where it is (for a program to start, for package.json) hears where it was before. */
const places = {
  name: 'places',
  setup(build) {
    build.onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      const within = path.relative(DIST, file).split(path.sep).join('/');
      if (within.startsWith('../')) return undefined;
      const text = readFileSync(file, 'utf8');
      if (!text.includes('import.meta.url')) return undefined;
      const place = JSON.stringify(`../${within}`);
      return { contents: text.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`) };
    });
  },
};

/** Writes dist/program, and in the place of each program one line that loads it from there. */
async function bundle() {
  const { metafile } = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(
      Object.entries(PROGRAMS).map(([name, file]) => [name, path.join(DIST, file)]),
    ),
    outdir: path.join(DIST, FOLDER),
    bundle: true,
    splitting: true,
    chunkNames: '[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20.12',
    // jsonc-parser is found as UMD otherwise, whose parts no bundler can follow.
    mainFields: ['module', 'main'],
    external: EXTERNAL,
    banner: { js: COMMONJS },
    define: { __filename: 'import.meta.filename', __dirname: 'import.meta.dirname' },
    sourcemap: 'linked',
    sourcesContent: false,
    // In full beside the code, from the packages themselves.
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    plugins: [places],
  });
  const packages = packagesOf(Object.keys(metafile.inputs));
  writeFileSync(path.join(DIST, FOLDER, 'LICENSES.txt'), licences(packages));
  // `exo connect` sends what is not in here.
  writeFileSync(
    path.join(DIST, FOLDER, 'packages.json'),
    `${JSON.stringify(packages.map(({ name }) => name))}\n`,
  );
  removeOthers(Object.keys(metafile.outputs).map((file) => path.basename(file)));
  for (const [name, file] of Object.entries(PROGRAMS)) {
    const up = path.posix.relative(path.posix.dirname(file), `${FOLDER}/${name}.js`);
    const hashbang = name === 'main' ? '#!/usr/bin/env node\n' : '';
    writeFileSync(path.join(DIST, file), `${hashbang}import '${up}';\n`);
    rmSync(path.join(DIST, `${file}.map`), { force: true });
  }
}

/**
 * Parts of earlier builds, whose names have another hash. Those of the last one stay: a node that runs may not have loaded
 * all of them yet. outputs.json says which are of no use to anybody else.
 */
function removeOthers(written) {
  const folder = path.join(DIST, FOLDER);
  const list = path.join(folder, 'outputs.json');
  const last = lastOutputs(list);
  const isSame = last.written.every((name) => written.includes(name));
  const left = (isSame ? last.left : last.written).filter((name) => !written.includes(name));
  for (const name of readdirSync(folder)) {
    if (/\.js(\.map)?$/.test(name) && !written.includes(name) && !left.includes(name))
      rmSync(path.join(folder, name));
  }
  writeFileSync(`${list}.part`, `${JSON.stringify({ written, left }, null, 1)}\n`);
  renameSync(`${list}.part`, list);
}

/** Of the build before, where there was one. */
function lastOutputs(list) {
  try {
    return JSON.parse(readFileSync(list, 'utf8'));
  } catch {
    return { written: [], left: [] };
  }
}

/** The packages of these files, by name: their folder and manifest. */
function packagesOf(inputs) {
  const folders = new Set(
    inputs.map((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter(Boolean),
  );
  return [...folders].sort().map((name) => {
    const folder = path.join(ROOT, name);
    return { ...JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')), folder };
  });
}

/** The licences of the packages in the bundle, as they ask for. */
function licences(packages) {
  return packages
    .map(({ name, version, license, folder }) => {
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      const text = file === undefined ? '' : readFileSync(path.join(folder, file), 'utf8').trim();
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

await bundle();
