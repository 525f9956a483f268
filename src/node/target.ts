/**
 * One address that the dialer keeps trying: the candidate, what came of it, and when it is tried next.
 * A small state machine without I/O; `dialer.ts` owns the timers.
 *
 *            offer                      dial ok
 *   (new) ─────────► waiting ──► dialling ─────► connected
 *                      ▲  ▲        │  │             │
 *             peer lost│  └────────┘  │ refused     │ its peer uses another connection, or it is the loser
 *                      │   failed     ▼             ▼
 *                      ├─────────── parked        resting
 *                      └────────────────────────────┘
 */
import type { Candidate } from '../discovery/index.js';
import { type Address, ExoError } from '../shared/index.js';

/** Where a target stands. `parked`: refused for a reason that a retry seldom mends. `resting`: its peer is reached otherwise. */
export type TargetState = 'waiting' | 'dialling' | 'connected' | 'resting' | 'parked';

const TRANSITIONS: Readonly<Record<TargetState, readonly TargetState[]>> = {
  waiting: ['dialling', 'resting'],
  dialling: ['connected', 'waiting', 'parked', 'resting'],
  connected: ['waiting', 'resting'],
  resting: ['waiting'],
  parked: ['waiting'],
};

/** One address that is dialled until it is withdrawn. */
export class Target {
  candidate: Candidate;
  /** The peer that answered there last. */
  peerId: string | undefined;
  /** Encryption was seen or asked for there: never plain again. */
  secure = false;
  /** When the address stopped working, or was first tried; the backoff grows from here. `clock.now()`. */
  lostAtMs: number;
  /** When it last became connected. `clock.now()`. */
  upAtMs: number | undefined;
  /** When it was last tried. `clock.now()`. */
  dialledAtMs = Number.NEGATIVE_INFINITY;
  /** When it is tried next, while waiting or parked. `clock.now()`. */
  nextDialAtMs: number | undefined;
  /** What the last try said, in words. */
  lastError: ExoError | undefined;
  #state: TargetState = 'waiting';

  constructor(candidate: Candidate, nowMs: number) {
    this.candidate = candidate;
    this.lostAtMs = nowMs;
  }

  get key(): string {
    return this.candidate.key;
  }

  get address(): Address {
    return this.candidate.address;
  }

  get state(): TargetState {
    return this.#state;
  }

  /** Throws `internal` for a transition that is not in the table. */
  become(next: TargetState): void {
    if (next === this.#state) return;
    if (!TRANSITIONS[this.#state].includes(next)) {
      throw new ExoError('internal', `a dial target cannot go from ${this.#state} to ${next}`);
    }
    this.#state = next;
    if (next !== 'waiting' && next !== 'parked') this.nextDialAtMs = undefined;
  }
}
