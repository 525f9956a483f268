/** Room for files of made weights: what was not used for the longest time goes first. Called by `made-files.ts`. */
import { readdirSync, rmSync, statfsSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { LIMITS } from '../../../../shared/index.js';

/** `NAME.weights.PID-N.part` */
const PART = /\.weights\.(\d+)-\d+\.part$/;
/** A file that is used is newer than all others from then on. */
const STEP_S = 1;

/** Removes what processes that are gone have left half written. */
export function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = PART.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(path.join(directory, name), { force: true });
  }
}

/**
 * Whether `bytes` more fit; the oldest files are removed where that helps, but for those `inUse`. What another process has mapped
 * stays until it lets go.
 */
export function makeRoom(
  directory: string,
  bytesMax: number,
  bytes: number,
  inUse: ReadonlySet<string>,
): boolean {
  const files = filesIn(directory);
  const sum = (some: typeof files) => some.reduce((total, file) => total + file.bytes, 0);
  let total = sum(files);
  if (sum(files.filter((file) => inUse.has(file.path))) + bytes > bytesMax) return false;
  for (const file of files.sort((a, b) => a.usedAtMs - b.usedAtMs)) {
    if (total + bytes <= bytesMax) break;
    if (inUse.has(file.path)) continue;
    rmSync(file.path, { force: true });
    total -= file.bytes;
  }
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize >= bytes + LIMITS.diskSpareBytes;
}

/** The file is in use: it makes room last. */
export function touch(file: string): void {
  try {
    const newest = Math.max(...filesIn(path.dirname(file)).map(({ usedAtMs }) => usedAtMs));
    const seconds = newest / 1000 + STEP_S;
    if (statSync(file).mtimeMs < newest) utimesSync(file, seconds, seconds);
  } catch {
    // It is used all the same.
  }
}

function filesIn(directory: string) {
  return readdirSync(directory).flatMap((name) => {
    if (!name.endsWith('.weights') && !PART.test(name)) return [];
    const file = path.join(directory, name);
    const { size, mtimeMs } = statSync(file);
    return [{ path: file, bytes: size, usedAtMs: mtimeMs }];
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
