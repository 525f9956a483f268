/**
 * Notices that the machine (or this process) has slept: a second that lasted much longer than a second, on the monotonic
 * clock or on the wall clock, whichever goes on during sleep on this system.
 */
import { type Clock, LIMITS, type TimerHandle } from '../shared/index.js';

const TICK_MS = 1_000;

/** Calls `onWake` after every such second, until stopped. */
export function watchWake(clock: Clock, onWake: (sleptMs: number) => void): TimerHandle {
  let [nowMs, wallMs] = [clock.now(), clock.wall()];
  return clock.every(TICK_MS, () => {
    const lateMs = Math.max(clock.now() - nowMs, clock.wall() - wallMs) - TICK_MS;
    [nowMs, wallMs] = [clock.now(), clock.wall()];
    if (lateMs >= LIMITS.tunnelWakeLateMs) onWake(lateMs);
  });
}
