/**
 * Which of two own paths to one peer is faster: a few round trips on each, in turn. Called by the peer table when a
 * second address of equal priority leads to a peer that is connected already.
 */
import type { Connection } from '../protocol/index.js';
import { type Clock, LIMITS } from '../shared/index.js';

/** Enough for the least of them to be the path without its queues. */
const ROUNDS = 3;
/** Less than this is noise, and not worth a change of path. */
const GAIN_MS_MIN = 0.5;
const GAIN_SHARE_MIN = 0.2;

/** Whether `challenger` is worth changing to. False when it fails; true when only `current` does. */
export async function isFaster(clock: Clock, current: Connection, challenger: Connection): Promise<boolean> {
  let currentMs = Number.POSITIVE_INFINITY;
  let challengerMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    currentMs = Math.min(currentMs, await roundTripMs(clock, current));
    challengerMs = Math.min(challengerMs, await roundTripMs(clock, challenger));
  }
  const gainMs = currentMs - challengerMs;
  return gainMs > GAIN_MS_MIN && gainMs > currentMs * GAIN_SHARE_MIN;
}

/** Of one ping. Infinite when there is no answer in `healthTimeoutMs`, or the connection has ended. */
export async function roundTripMs(clock: Clock, connection: Connection): Promise<number> {
  const startedAtMs = clock.now();
  try {
    await connection.request({ kind: 'ping', data: EMPTY }, { timeoutMs: LIMITS.healthTimeoutMs });
    return clock.now() - startedAtMs;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

const EMPTY = Buffer.alloc(0);
