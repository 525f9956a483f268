/**
 * How often a peer came and went of late, and what follows from it: one that flaps must stay for a while before it counts as a
 * member again, so that the topology and the ring are not shaken each time. Pure; one per peer, kept by the peer table.
 */
import { LIMITS } from '../shared/index.js';

/** The holds are longest long before so many more. */
const DEATHS_KEPT = LIMITS.flapsMax + 8;

/** The deaths of one peer. A peer that says goodbye does not die. */
export class FlapHistory {
  /** Newest last; as many as can matter. */
  #deathsAtMs: number[] = [];

  /** It was a member, or was to become one, and is gone. */
  died(nowMs: number): void {
    this.#deathsAtMs = [...this.#recent(nowMs), nowMs].slice(-DEATHS_KEPT);
  }

  /** Deaths within `LIMITS.flapWindowMs`. */
  count(nowMs: number): number {
    return this.#recent(nowMs).length;
  }

  /** How long it must stay connected before it is a member again; 0 when it does not flap. */
  holdMs(nowMs: number): number {
    const over = this.count(nowMs) - LIMITS.flapsMax;
    if (over <= 0) return 0;
    return Math.min(LIMITS.flapHoldMsMax, LIMITS.flapHoldMsMin * 2 ** (over - 1));
  }

  #recent(nowMs: number): number[] {
    return this.#deathsAtMs.filter((atMs) => nowMs - atMs < LIMITS.flapWindowMs);
  }
}
