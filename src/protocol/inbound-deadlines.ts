/**
 * How long a peer may take to say something, and how slowly: pure checks that throw when a connection must be closed. Only `inbound.ts`
 * asks them, once a tick.
 */
import { ExoError, LIMITS } from '../shared/index.js';

/** Throws `handshake-timeout` for an accepted connection that has not said a complete frame by `nowMs`. */
export function checkFirstFrame(openedAtMs: number, firstByteAtMs: number | undefined, nowMs: number): void {
  const limitMs = firstByteAtMs === undefined ? LIMITS.silentConnectionTimeoutMs : LIMITS.handshakeTimeoutMs;
  if (nowMs - (firstByteAtMs ?? openedAtMs) < limitMs) return;
  throw new ExoError('handshake-timeout', `no complete frame within ${limitMs} ms`);
}

/** Throws `frame-too-slow` for a body of which only `bytes` have come in `ageMs`. */
export function checkBodyRate(bytes: number, ageMs: number): void {
  if (ageMs < LIMITS.slowBodyGraceMs) return;
  const rate = (bytes * 1000) / ageMs;
  if (rate >= LIMITS.slowBodyBytesPerSecondMin) return;
  throw new ExoError(
    'frame-too-slow',
    `a body came at ${Math.round(rate)} bytes/s for ${Math.round(ageMs / 1000)} s`,
  );
}
