/**
 * Where the native libraries of this machine lie: one optional npm package per platform holds them prebuilt. Which
 * package a platform needs is decided here and nowhere else; nothing is loaded. Called by `open-library.ts`.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ExoError } from '../../../../shared/index.js';

/** The binding follows this ABI; package.json pins the same. */
export const PACKAGE_VERSION = '3.21.1';

/** By `process.platform` and `process.arch`. */
const PACKAGES: Readonly<Record<string, string>> = {
  'darwin-arm64': 'mac-arm64-metal',
  'darwin-x64': 'mac-x64',
  'linux-arm64': 'linux-arm64',
  'linux-x64': 'linux-x64',
  'win32-x64': 'win-x64',
};

/** What `--device` can name here: the packages have a GPU for Macs with Apple's processors only. */
export function ggmlDevices(
  platform: string = process.platform,
  arch: string = process.arch,
): readonly string[] {
  const isMetal = PACKAGES[`${platform}-${arch}`]?.endsWith('-metal') === true;
  return ['auto', 'cpu', ...(isMetal ? ['metal'] : [])];
}

/** Absolute paths. */
export interface LibraryFiles {
  /** Holds the backends too, which are loaded by what the processor can do. */
  readonly directory: string;
  readonly base: string;
  readonly loader: string;
}

/** Whether the libraries for this machine are installed. They are not loaded: the engine's start says whether they work. */
export function canComputeGgml(): boolean {
  try {
    findLibraries();
    return true;
  } catch {
    return false;
  }
}

/** The libraries for a platform. Throws `engine-missing`, saying what to install. */
export function findLibraries(
  platform: string = process.platform,
  arch: string = process.arch,
): LibraryFiles {
  const name = PACKAGES[`${platform}-${arch}`];
  if (name === undefined) {
    throw new ExoError(
      'engine-missing',
      `there are no prebuilt ggml libraries for ${platform} on ${arch}; there are for ${Object.keys(PACKAGES).join(', ')}. Such a node still passes questions on to others`,
    );
  }
  const full = `@node-llama-cpp/${name}`;
  try {
    const entry = createRequire(import.meta.url).resolve(full);
    const directory = path.join(path.dirname(entry), '..', 'bins', name);
    const files = readdirSync(directory);
    const base = files.find((file) => /^(?:lib)?ggml-base\.(?:so|dylib|dll)$/.test(file));
    // Its name carries a version, so that another program's copy is not taken for it.
    const loader = files.find((file) => /^(?:lib)?ggml(?:\.[\w.]+)?\.(?:so|dylib|dll)$/.test(file));
    if (base === undefined || loader === undefined) throw new Error(`${directory} has no ggml libraries`);
    return { directory, base: path.join(directory, base), loader: path.join(directory, loader) };
  } catch (error) {
    throw new ExoError(
      'engine-missing',
      `the libraries that compute models are not installed on this node; in the folder of exo run: npm install ${full}@${PACKAGE_VERSION} (or npm install without --omit=optional), and start the node again`,
      { cause: error },
    );
  }
}
