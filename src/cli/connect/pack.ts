/**
 * This program as an archive that runs without npm on the far side: the built files and the packages that these need beside them
 * at run time, from where Node finds them here. Native parts stay out: they fit this machine only, and are optional.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ExoError } from '../../shared/index.js';

/** What `tar` is to put in: paths by the folder that they are relative to. */
export interface Pack {
  readonly version: string;
  /** Names of files in them that are of no use over there. */
  readonly without: readonly string[];
  readonly parts: ReadonlyArray<{ readonly folder: string; readonly paths: readonly string[] }>;
}

/** As far from the sources as from the built program. */
const PACKAGE_ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Needed by nobody at run time; half of the size. */
const EXCLUDED = ['*.map', '*.d.ts', '*.d.cts', '*.d.mts', '*.node', '*.tsbuildinfo'];

const NONE: ReadonlySet<string> = new Set();

interface Manifest {
  readonly version?: string;
  readonly files?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Finds everything. Throws `option-unsupported` where this installation cannot be packed. */
export function planPack(root = PACKAGE_ROOT): Pack {
  const manifest = readManifest(root);
  if (!existsSync(path.join(root, 'dist/cli/main.js'))) {
    throw new ExoError(
      'option-unsupported',
      'there is no built program here that could be sent; run npm run build first',
    );
  }
  const own = ['package.json', ...(manifest.files ?? ['dist'])].filter((name) =>
    existsSync(path.join(root, name)),
  );
  const packages = new Map<string, string>();
  collect(root, bundledPackages(root), packages);
  const outer = outerFolder(root);
  const inside: string[] = [];
  const hoisted: string[] = [];
  for (const folder of packages.keys()) {
    if (isBelow(folder, root)) inside.push(path.relative(root, folder));
    else if (outer !== undefined && isBelow(folder, outer)) hoisted.push(path.relative(outer, folder));
    else throw unpackable(folder);
  }
  const clash = hoisted.find((name) => inside.includes(name));
  if (clash !== undefined) throw unpackable(path.join(root, clash));
  return {
    version: manifest.version ?? '0.0.0',
    without: leftParts(root),
    parts: [
      { folder: root, paths: [...own, ...topmost(inside)] },
      ...(hoisted.length === 0 ? [] : [{ folder: outer!, paths: topmost(hoisted) }]),
    ],
  };
}

/** The words of `tar` (GNU or BSD) that write the archive to standard output. */
export function tarArgs(pack: Pack): string[] {
  return [
    '-czf',
    '-',
    ...[...EXCLUDED, ...pack.without].map((pattern) => `--exclude=${pattern}`),
    ...pack.parts.flatMap(({ folder, paths }) => ['-C', folder, ...paths]),
  ];
}

/** Names of the packages that are a part of the built program (tools/bundle.mjs): half of the size of all. */
function bundledPackages(root: string): ReadonlySet<string> {
  const list = path.join(root, 'dist/program/packages.json');
  return new Set(existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as string[]) : []);
}

/** Parts of the build before this one, kept for a node that still runs it. */
function leftParts(root: string): readonly string[] {
  const list = path.join(root, 'dist/program/outputs.json');
  return existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as { left: string[] }).left : [];
}

/** Every package that `folder` needs, by where Node finds it, but for those in `without`. */
function collect(folder: string, without: ReadonlySet<string>, found: Map<string, string>): void {
  for (const name of Object.keys(readManifest(folder).dependencies ?? {})) {
    if (without.has(name)) continue;
    const place = findPackage(folder, name);
    if (place === undefined) {
      throw new ExoError('option-unsupported', `the package ${name} is missing here; run npm install first`);
    }
    if (found.has(place)) continue;
    found.set(place, name);
    // A package of others finds its own in node_modules, whatever the program has inside.
    collect(place, NONE, found);
  }
}

/** As Node looks for it: in `node_modules` of every folder upwards. */
function findPackage(from: string, name: string): string | undefined {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const place = path.join(folder, 'node_modules', name);
    // A link (npm link, pnpm) would leave the packed folder.
    if (existsSync(path.join(place, 'package.json'))) return realpathSync(place);
    if (path.dirname(folder) === folder) return undefined;
  }
}

/** The folder whose `node_modules` holds this package, where it was installed as one. */
function outerFolder(root: string): string | undefined {
  const at = root.lastIndexOf(`${path.sep}node_modules${path.sep}`);
  return at < 0 ? undefined : root.slice(0, at);
}

function isBelow(folder: string, root: string): boolean {
  return folder.startsWith(path.join(root, 'node_modules') + path.sep);
}

/** Paths that are not inside another one of them. */
function topmost(paths: readonly string[]): string[] {
  const all = new Set(paths);
  const hasParent = (name: string) => {
    for (let at = path.dirname(name); at !== '.'; at = path.dirname(at)) if (all.has(at)) return true;
    return false;
  };
  return [...all].filter((name) => !hasParent(name)).sort();
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest;
}

const unpackable = (folder: string) =>
  new ExoError(
    'option-unsupported',
    `this installation cannot be packed (${folder} lies elsewhere); install exo on the far machine yourself`,
  );
