/**
 * Engines of one user on one machine compute in turn: threads of a step wait for each other at every operation, so that two steps
 * on the same cores hold each other up at each of them (measured: two nodes of a ring with four requests made a third of the tokens).
 * A lock on a file says whose turn it is; who holds it for too long, or is stopped with it, is not waited for. The file holds eight
 * bytes that whoever had the last turn has drawn for himself. Called by the scheduler, in the engine's process.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Clock, LIMITS, sleep, systemRandom } from '../../../../shared/index.js';
import { type FileLock, fileLock } from '../library/index.js';

/** After a turn of this length the next one comes a moment later: a thread that waits for the lock has to wake to get it. */
const LONG_TURN_MS = 20;
/** It has woken by then: a step that comes from the node after so long is not held up. */
const WAKE_MS = 0.5;
const YIELD_MS = 1;
/** Of what says who had the last turn. */
const MARK_BYTES = 8;
/** For so long after the turn of another engine the cores are not this one's alone. */
const SHARED_MS = 5_000;

/** Whose turn it is among the engines of a machine. */
export class CoreTurns {
  readonly #clock: Clock;
  readonly #fd: number | undefined;
  readonly #lock: FileLock | undefined;
  readonly #waitMsMax: number;
  /** A thread waits for the lock, and nobody for the thread. */
  #isGivenUp = false;
  #isWaiting = false;
  /** Another engine may come before until then. */
  #yieldUntilMs = Number.NEGATIVE_INFINITY;
  /** What this engine writes into the file when it has the turn. */
  readonly #mark = systemRandom.bytes(MARK_BYTES);
  /** When another engine had had the turn before this one. */
  #sharedAtMs = Number.NEGATIVE_INFINITY;

  /** @param file where the lock is; undefined: no turns are taken. One that cannot be opened is as none. */
  constructor(file: string | undefined, clock: Clock, waitMsMax: number = LIMITS.engineTurnMs) {
    this.#clock = clock;
    this.#waitMsMax = waitMsMax;
    this.#fd = file === undefined ? undefined : opened(file);
    this.#lock = this.#fd === undefined ? undefined : fileLock(this.#fd);
  }

  /**
   * Runs `work` when it is this engine's turn, or after a second.
   * @param work is told whether another one computed until now
   */
  async take(work: (hasWaited: boolean) => Promise<void>): Promise<void> {
    const lock = this.#lock;
    if (lock === undefined || this.#isGivenUp) return work(false);
    if (this.#clock.now() < this.#yieldUntilMs) await sleep(this.#clock, YIELD_MS);
    const hasWaited = !lock.tryTake();
    if (hasWaited) this.#sharedAtMs = this.#clock.now();
    if (hasWaited && !(await this.#wait(lock))) return work(true);
    this.#sign();
    const fromMs = this.#clock.now();
    try {
      await work(hasWaited);
    } finally {
      lock.release();
      const nowMs = this.#clock.now();
      if (nowMs - fromMs >= LONG_TURN_MS) this.#yieldUntilMs = nowMs + WAKE_MS;
    }
  }

  /**
   * Whether another engine of this machine computes now and then, so that these two never compute at the same time; also where
   * neither ever waits, because each begins with what the other has done.
   */
  get isShared(): boolean {
    return this.#isGivenUp || this.#clock.now() - this.#sharedAtMs < SHARED_MS;
  }

  /** Whether a thread waits for the lock; the process cannot end before it has it, unless it is killed. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** No turn may be under way. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  /** Sees who had the turn before, and says that it is this engine now. */
  #sign(): void {
    const fd = this.#fd!;
    try {
      const before = Buffer.alloc(MARK_BYTES);
      const bytes = readSync(fd, before, 0, MARK_BYTES, 0);
      if (before.equals(this.#mark)) return;
      if (bytes === MARK_BYTES) this.#sharedAtMs = this.#clock.now();
      writeSync(fd, this.#mark, 0, MARK_BYTES, 0);
    } catch {
      // A full disk, or one that is not written to: only who is waited for is seen, and the turns are kept all the same.
    }
  }

  /** Whether the lock is had; else it is released as soon as it comes, and until then this engine waits for nobody. */
  async #wait(lock: FileLock): Promise<boolean> {
    let isLate = false;
    this.#isWaiting = true;
    const isHad = lock
      .take()
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        this.#isWaiting = false;
      });
    const late = new Promise<boolean>((resolve) => {
      const timer = this.#clock.after(this.#waitMsMax, () => {
        isLate = true;
        resolve(false);
      });
      void isHad.then(() => timer.cancel());
    });
    const result = await Promise.race([isHad, late]);
    if (isLate) {
      this.#isGivenUp = true;
      void isHad.then((had) => {
        if (had) lock.release();
        this.#isGivenUp = !had;
      });
    }
    return result;
  }
}

/** The file of this user; the folder for temporary files is the same for all of his nodes. */
export function turnsFile(): string {
  const user = process.getuid?.() ?? os.userInfo().username;
  return path.join(os.tmpdir(), `exo-mesh-cores-${user}.lock`);
}

/** A link that somebody else has put there is not followed: what it leads to is not written to. */
function opened(file: string): number | undefined {
  const { O_RDWR, O_RDONLY, O_CREAT, O_NOFOLLOW = 0 } = constants;
  for (const flags of [O_RDWR | O_CREAT, O_RDONLY]) {
    try {
      return openSync(file, flags | O_NOFOLLOW, 0o600);
    } catch {
      // To read is enough for a lock.
    }
  }
  return undefined;
}
