/**
 * A lock of the operating system on an open file (flock), which nobody keeps beyond the end of his process. Runs in the
 * engine's process only. Called by `child/core-turns.ts`.
 */
import koffi from 'koffi';

const LOCK_EXCLUSIVE = 2;
const LOCK_NOT_BLOCKING = 4;
const LOCK_NONE = 8;

/** The lock of one descriptor. */
export interface FileLock {
  /** Whether it is had, without waiting. */
  tryTake(): boolean;
  /** Resolves when it is had: waits in a thread, without an end of its own. Rejects where the system cannot lock. */
  take(): Promise<void>;
  release(): void;
}

/** Undefined where the system has no such locks. */
export function fileLock(fd: number): FileLock | undefined {
  if (process.platform === 'win32') return undefined;
  const flock = koffi.load(null).func('flock', 'int', ['int', 'int']);
  return {
    tryTake: () => flock(fd, LOCK_EXCLUSIVE | LOCK_NOT_BLOCKING) === 0,
    take: () =>
      new Promise((resolve, reject) => {
        flock.async(fd, LOCK_EXCLUSIVE, (error: unknown, result: number) => {
          if (!error && result === 0) resolve();
          else reject(new Error(`flock failed (${String(error ?? result)})`));
        });
      }),
    release: () => void flock(fd, LOCK_NONE),
  };
}
