/**
 * How new an entry may claim to be. Anybody can send an entry in another's name; the named node answers it with an
 * epoch one higher. A claim so high that nothing acceptable is above it could not be answered, so what is accepted
 * ends a day after now. Time gives the room: one millisecond later the answer to the highest claim is acceptable too.
 * The node itself answers nothing above its own bound, so no claim makes it leave what others accept. Not the order
 * of entries (`entry.ts`). Only the view uses it.
 */
import { LIMITS } from '../shared/index.js';
import { EPOCH_MAX } from './entry.js';

/** The bound of one node: its clock, and what its neighbours' hellos say of that clock. */
export class EpochBound {
  readonly #wallMs: () => number;
  readonly #helloEpochs = new Map<string, number>();

  /** `wallMs`: milliseconds since 1970, now. */
  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** A hello named this epoch. */
  greeted(id: string, epoch: number): void {
    this.#helloEpochs.set(id, epoch);
  }

  forget(id: string): void {
    this.#helloEpochs.delete(id);
  }

  /**
   * The highest epoch that is believed of a node when another tells it, in milliseconds since 1970. A clock that is behind
   * the start of most neighbours by two days (a board without a battery) can judge nobody: then it is `EPOCH_MAX`.
   */
  maxOf(connected: Iterable<string>): number {
    const boundMs = this.#wallMs() + LIMITS.topologyEpochAheadMs;
    let ahead = 0;
    let behind = 0;
    for (const id of connected) {
      const epoch = this.#helloEpochs.get(id);
      if (epoch === undefined) continue;
      if (epoch > boundMs + LIMITS.topologyEpochAheadMs) ahead += 1;
      else behind += 1;
    }
    return ahead > behind ? EPOCH_MAX : boundMs;
  }
}
