/**
 * The results of the last seconds, until their way has changed: nobody acknowledges a result, so what was sent on a connection that was
 * broken already, or while there was none, would be lost without a word, and an answer would stand still for as long as its
 * reader waits. On a new way they are sent once more; the reader counts them by their index. Bookkeeping only; `ring-port.ts` asks.
 */
import type { Connection, Result } from '../protocol/index.js';
import { type Clock, LIMITS } from '../shared/index.js';

interface Sent {
  readonly peerId: string;
  readonly result: Result;
  /** `clock.now()`. */
  readonly atMs: number;
  /** Serial of the connection; undefined: there was none. */
  readonly over: number | undefined;
}

/** What was sent lately, to all peers. */
export class RecentResults {
  readonly #clock: Clock;
  /** Oldest first. */
  #sent: Sent[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A result was sent, or should have been. */
  note(peerId: string, result: Result, over: Pick<Connection, 'serial'> | undefined): void {
    this.#sent.push({ peerId, result, atMs: this.#clock.now(), over: over?.serial });
    // Not at each of them: the list is moved when it is half too long.
    if (this.#sent.length > 1.5 * LIMITS.resultsRemembered) this.#prune();
  }

  /** Those for a peer that went another way than this one, in their order; from now on they went this way. */
  takeOver(peerId: string, { serial }: Pick<Connection, 'serial'>): readonly Result[] {
    this.#prune();
    const results: Result[] = [];
    this.#sent = this.#sent.map((sent) => {
      if (sent.peerId !== peerId || sent.over === serial) return sent;
      results.push(sent.result);
      return { ...sent, over: serial };
    });
    return results;
  }

  #prune(): void {
    const sinceMs = this.#clock.now() - LIMITS.resultsRememberedMs;
    const from = this.#sent.findIndex(({ atMs }) => atMs >= sinceMs);
    this.#sent =
      from < 0 ? [] : this.#sent.slice(Math.max(from, this.#sent.length - LIMITS.resultsRemembered));
  }
}
