/**
 * Time, passed in. Everything that waits or measures takes a `Clock`, so that tests and the simulator run on
 * virtual time. This file is the only place in the program that touches `performance`, `Date` and timers.
 */

import { performance } from 'node:perf_hooks';
import { onceAborted } from './abort.js';
import { ClockRounds, ROUND_MS } from './clock-rounds.js';
import type { TimerHandle } from './timer-handle.js';

export type { TimerHandle } from './timer-handle.js';

/** The two clocks of a machine (monotonic and wall) and its timers. All values in milliseconds. */
export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  now(): number;
  /** Milliseconds since the Unix epoch, for stamps that a person or another machine reads. */
  wall(): number;
  /** Calls `fn` once, not before `delayMs`. */
  after(delayMs: number, fn: () => void): TimerHandle;
  /** Calls `fn` every `intervalMs` until cancelled; the first time may come somewhat sooner or later. */
  every(intervalMs: number, fn: () => void): TimerHandle;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after,
  every(intervalMs, fn) {
    if (intervalMs > 0 && intervalMs % ROUND_MS === 0) return rounds.every(intervalMs, fn);
    const timer = setInterval(fn, intervalMs);
    return { cancel: () => clearInterval(timer) };
  },
};

const rounds = new ClockRounds({ now: () => performance.now(), after });

function after(delayMs: number, fn: () => void): TimerHandle {
  const timer = setTimeout(fn, delayMs);
  return { cancel: () => clearTimeout(timer) };
}

/** Resolves after `delayMs`, or rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.after(delayMs, () => {
      leave?.();
      resolve();
    });
    const leave =
      signal &&
      onceAborted(signal, () => {
        timer.cancel();
        reject(signal.reason);
      });
  });
}
