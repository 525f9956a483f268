/**
 * A lock between processes of one account: a file that is made where none of its name is. A node and the commands of its owner
 * change the same files; whoever holds the lock reads, changes and writes. Called by `kept-state.ts`.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Clock, ExoError, LIMITS, type Random, sleep } from '../shared/index.js';
import { unwritable } from './private-file.js';

const TOKEN_BYTES = 8;
/** Between two tries; the work under a lock takes some milliseconds. */
const RETRY_MS_MIN = 3;
const RETRY_MS_MAX = 15;

/**
 * Does `work`, which must not wait for anything, while no other process holds the lock. A lock whose process is gone, or that has
 * not moved for `trustLockMs`, is taken over. Throws `overloaded` (another process keeps it) or `state-unwritable`.
 */
export async function withFileLock<T>(
  file: string,
  work: () => T,
  components: { readonly clock: Clock; readonly random: Random },
): Promise<T> {
  const { clock, random } = components;
  const lock = `${file}.lock`;
  const own = JSON.stringify({
    pid: process.pid,
    host: hostname(),
    token: random.bytes(TOKEN_BYTES).toString('hex'),
  });
  const startedMs = clock.now();
  let seen: { readonly text: string | undefined; readonly sinceMs: number } | undefined;
  while (!take(lock, own)) {
    const text = holderOf(lock);
    const nowMs = clock.now();
    if (seen === undefined || seen.text !== text) seen = { text, sinceMs: nowMs };
    if (isGone(text) || nowMs - seen.sinceMs > LIMITS.trustLockMs) removeLeftOver(lock, text, own);
    if (nowMs - startedMs > LIMITS.trustLockWaitMs) {
      throw new ExoError(
        'overloaded',
        `${file} is held by another process; if no node and no exo command runs, delete ${lock}`,
        { retryable: true },
      );
    }
    await sleep(clock, RETRY_MS_MIN + random.next() * (RETRY_MS_MAX - RETRY_MS_MIN));
  }
  try {
    return work();
  } finally {
    if (holderOf(lock) === own) rmSync(lock, { force: true });
  }
}

function take(lock: string, own: string): boolean {
  try {
    writeFileSync(lock, own, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw unwritable(lock, error);
  }
}

function holderOf(lock: string): string | undefined {
  try {
    return readFileSync(lock, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether the holder was a process of this machine that is there no more. */
function isGone(text: string | undefined): boolean {
  try {
    const holder = JSON.parse(text ?? '') as { pid?: unknown; host?: unknown };
    if (holder.host !== hostname() || !Number.isInteger(holder.pid) || (holder.pid as number) <= 0)
      return false;
    process.kill(holder.pid as number, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Of several that see a left-over lock, one may have taken it anew meanwhile: then that one is put back. */
function removeLeftOver(lock: string, seen: string | undefined, own: string): void {
  const aside = `${lock}.${(JSON.parse(own) as { token: string }).token}`;
  try {
    renameSync(lock, aside);
    if (holderOf(aside) !== seen) linkSync(aside, lock);
  } catch {
    // Somebody else was quicker.
  } finally {
    rmSync(aside, { force: true });
  }
}
