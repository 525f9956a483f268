/**
 * A lock between processes on a name in a folder: who holds it is the one claim whose owner lives. A claim is a file that
 * nobody else ever names the same, so a left-over one can be removed by whoever sees it, and two that claim at once see each
 * other. It dies with its process, also by kill -9. Used by `download-file.ts` and `store.ts`; it keeps no threads apart within
 * one process beyond what it keeps apart between two.
 */
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { type Clock, LIMITS, type Random, sleep } from '../../shared/index.js';
import { bootId, processStart } from './lock-process.js';

/** What a lock works with. */
export interface LockComponents {
  readonly clock: Clock;
  readonly random: Random;
}

/** A held lock. */
export interface Lock {
  /** Idempotent. */
  release(): Promise<void>;
}

interface Claim {
  readonly pid: number;
  readonly start: string | null;
  readonly machine: string;
  readonly boot: string;
}

const TOKEN_BYTES = 8;
/** Between two looks while somebody else holds it. */
const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 120;

/** Claims of other machines (a shared folder) as they were first seen: one that stays as it is for long is left over. */
type Seen = Map<string, { readonly mtimeMs: number; readonly sinceMs: number }>;

/**
 * Waits until the lock is this caller's. `onWait` is called once, when somebody else holds it. Rejects with the signal's
 * reason; throws what the file system says.
 */
export async function takeLock(
  folder: string,
  name: string,
  components: LockComponents,
  signal: AbortSignal,
  onWait?: () => void,
): Promise<Lock> {
  const seen: Seen = new Map();
  let hasWaited = false;
  for (;;) {
    signal.throwIfAborted();
    const lock = await attempt(folder, name, components, seen);
    if (lock !== undefined) return lock;
    if (!hasWaited) onWait?.();
    hasWaited = true;
    const delayMs = RETRY_MS_MIN + components.random.next() * (RETRY_MS_MAX - RETRY_MS_MIN);
    await sleep(components.clock, delayMs, signal);
  }
}

/** The lock, or undefined where somebody else holds it. */
export function tryLock(folder: string, name: string, components: LockComponents): Promise<Lock | undefined> {
  return attempt(folder, name, components, new Map());
}

/** Whether a living process holds any lock in the folder. */
export async function isAnyLocked(folder: string, components: LockComponents): Promise<boolean> {
  for (const file of await claimsIn(folder, '')) {
    if (await isLive(file, components.clock, new Map())) return true;
  }
  return false;
}

async function attempt(
  folder: string,
  name: string,
  { clock, random }: LockComponents,
  seen: Seen,
): Promise<Lock | undefined> {
  if (await othersLive(folder, name, undefined, clock, seen)) return undefined;
  await mkdir(folder, { recursive: true });
  const token = random.bytes(TOKEN_BYTES).toString('hex');
  const own = path.join(folder, `${claimPrefix(name)}${token}`);
  const claim: Claim = {
    pid: process.pid,
    start: processStart(process.pid),
    machine: hostname(),
    boot: bootId(clock),
  };
  // Complete at once under its name, so that nobody takes a half-written claim for a broken one.
  const draft = path.join(folder, `draft-${token}`);
  try {
    await writeFile(draft, JSON.stringify(claim), { mode: 0o600 });
    await rename(draft, own);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  if (await othersLive(folder, name, own, clock, seen)) {
    await rm(own, { force: true });
    return undefined;
  }
  const beat = clock.every(LIMITS.modelLockBeatMs, () => {
    const nowSeconds = clock.wall() / 1000;
    utimes(own, nowSeconds, nowSeconds).catch(() => undefined);
  });
  return {
    async release() {
      beat.cancel();
      await rm(own, { force: true });
    },
  };
}

/** Whether a claim other than `own` is of a living process; those of the dead are removed. */
async function othersLive(
  folder: string,
  name: string,
  own: string | undefined,
  clock: Clock,
  seen: Seen,
): Promise<boolean> {
  for (const file of await claimsIn(folder, claimPrefix(name))) {
    if (file === own) continue;
    if (await isLive(file, clock, seen)) return true;
    await rm(file, { force: true });
  }
  return false;
}

async function isLive(file: string, clock: Clock, seen: Seen): Promise<boolean> {
  let claim: Claim;
  let mtimeMs: number;
  try {
    claim = JSON.parse(await readFile(file, 'utf8')) as Claim;
    mtimeMs = (await stat(file)).mtimeMs;
  } catch (error) {
    // Gone meanwhile, or not written by this program.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT' && !(error instanceof SyntaxError);
  }
  if (claim.machine === hostname()) {
    return claim.boot === bootId(clock) && isRunning(claim);
  }
  const nowMs = clock.now();
  const before = seen.get(file);
  if (before === undefined || before.mtimeMs !== mtimeMs) {
    seen.set(file, { mtimeMs, sinceMs: nowMs });
    return true;
  }
  return nowMs - before.sinceMs < LIMITS.modelLockSilentMs;
}

function isRunning({ pid, start }: Claim): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and somebody else's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = processStart(pid);
  return start === null || now === null || now === start;
}

/** A name may hold slashes; two names never begin the same, because the part before the dot is escaped. */
function claimPrefix(name: string): string {
  return `lock-${encodeURIComponent(name).replaceAll('.', '%2E')}.`;
}

async function claimsIn(folder: string, prefix: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => name.startsWith(prefix === '' ? 'lock-' : prefix))
      .map((name) => path.join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
