/**
 * Whether a peer is alive, judged from silence alone. Pure: the peer table feeds it and acts on it.
 * A late own timer (sleep, SIGSTOP, a busy machine) is our fault: silence is then counted from the wake.
 */
import { LIMITS } from '../shared/index.js';

/** What silence means. */
export type Liveness = 'alive' | 'suspect' | 'dead';

/** Verdict on a peer that has been silent for `silentMs`. */
export function judgeSilence(silentMs: number): Liveness {
  if (silentMs >= LIMITS.deadAfterMs) return 'dead';
  if (silentMs >= LIMITS.suspectAfterMs) return 'suspect';
  return 'alive';
}

/** Notices from the distance between ticks that this process did not run, and excuses everybody for that time. */
export class SelfHealth {
  readonly #tickMs: number;
  #lastTickMs: number;
  #wokeAtMs = Number.NEGATIVE_INFINITY;

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#lastTickMs = nowMs;
  }

  /** Call at every tick. Returns how late it was if that was more than one heartbeat, else 0. */
  tick(nowMs: number): number {
    const lateMs = nowMs - this.#lastTickMs - this.#tickMs;
    this.#lastTickMs = nowMs;
    if (lateMs < LIMITS.heartbeatMs / 2) return 0;
    this.#wokeAtMs = nowMs;
    return lateMs;
  }

  /** How long a peer last heard at `aliveAtMs` has been silent while we could have heard it. */
  silenceMs(aliveAtMs: number, nowMs: number): number {
    return Math.max(0, nowMs - Math.max(aliveAtMs, this.#wokeAtMs));
  }

  /** Whether this process woke less than `windowMs` ago. */
  wokeWithin(windowMs: number, nowMs: number): boolean {
    return nowMs - this.#wokeAtMs < windowMs;
  }
}
