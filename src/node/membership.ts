/**
 * Whether a peer is alive, judged from silence alone. Pure: the peer table feeds it and acts on it.
 * A late own timer (sleep, SIGSTOP, a busy machine) is our fault: silence is then counted from the wake, and for a while this
 * node waits longer before it accuses anybody (the local health of Lifeguard).
 */
import { LIMITS } from '../shared/index.js';

/** What silence means. */
export type Liveness = 'alive' | 'suspect' | 'dead';

/** Verdict on a peer that has been silent for `silentMs`. `patience`: how many times longer than usual is waited. */
export function judgeSilence(silentMs: number, patience = 1): Liveness {
  if (silentMs >= LIMITS.deadAfterMs * patience) return 'dead';
  if (silentMs >= LIMITS.suspectAfterMs * patience) return 'suspect';
  return 'alive';
}

/** Lateness beyond this is no matter of a busy moment. */
const LATE_MS = LIMITS.heartbeatMs / 2;
/** Half of the extra patience goes after so long without a late tick. */
const CALM_MS = 5_000;

/** Notices from the distance between ticks that this process did not run, and excuses everybody for that time. */
export class SelfHealth {
  readonly #tickMs: number;
  #lastTickMs: number;
  #wokeAtMs = Number.NEGATIVE_INFINITY;
  #patience = 1;
  #patienceSinceMs: number;

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#lastTickMs = nowMs;
    this.#patienceSinceMs = nowMs;
  }

  /** Call at every tick. Returns how late it was if that was more than half a heartbeat, else 0. */
  tick(nowMs: number): number {
    const lateMs = this.#lateMs(nowMs);
    this.#lastTickMs = nowMs;
    if (lateMs < LATE_MS) {
      const isCalm = nowMs - this.#patienceSinceMs >= CALM_MS;
      if (this.#patience > 1 && isCalm) this.#setPatience(this.#patience / 2, nowMs);
      return 0;
    }
    this.#wokeAtMs = nowMs;
    this.#setPatience(Math.min(LIMITS.patienceMax, this.#patience * 2), nowMs);
    return lateMs;
  }

  /** How many times longer than usual this node waits: 1 to `LIMITS.patienceMax`, twice as much with every late tick. */
  get patience(): number {
    return this.#patience;
  }

  /** How long a peer last heard at `aliveAtMs` has been silent while we could have heard it. */
  silenceMs(aliveAtMs: number, nowMs: number): number {
    return Math.max(0, nowMs - Math.max(aliveAtMs, this.#wokeAtMs));
  }

  /** Whether this process woke less than `windowMs` ago. Also true in the moment of waking, when another timer is served before the tick. */
  wokeWithin(windowMs: number, nowMs: number): boolean {
    return nowMs - this.#wokeAtMs < windowMs || this.#lateMs(nowMs) >= LATE_MS;
  }

  /** How late the next tick is by now. */
  #lateMs(nowMs: number): number {
    return nowMs - this.#lastTickMs - this.#tickMs;
  }

  #setPatience(patience: number, nowMs: number): void {
    this.#patience = patience;
    this.#patienceSinceMs = nowMs;
  }
}
