/**
 * What this node turned away because a bound was reached, counted by reason, so that nobody has to guess whether it protects
 * itself or is broken. Parts of all rooms add to it; `exo status` and /metrics show it. It decides nothing.
 */

/** Every reason, with one line about what was turned away. */
export const SHED_REASONS = {
  'accepted-full': 'a connection, because as many as can be held are open (acceptedConnections)',
  'handshake-full': 'a connection that had not said hello, because too many others had not either',
  'handshake-silent': 'a connection that held a place without a word while others waited for one',
  'source-rate': 'a connection, because its source opens them too fast (connectionsPerSecondPerSource)',
  'peers-full': 'a peer, because the table holds as many as it can (peersMax)',
  'slow-peer': 'a connection whose other side does not take what is sent to it',
  overloaded: 'a message, because a queue or the memory for bodies is full',
  'datagram-rate': 'an announcement by UDP of a source that sends too many',
  'datagram-invalid': 'a datagram that is no announcement',
  'announce-full': 'an announcement by TCP, because too many are being read',
  'newcomer-flood': 'an announcement heard once while a flood goes on',
  'http-full': 'an HTTP connection or stream over its number',
  'http-too-large': 'an HTTP body or header over its length',
  'http-too-slow': 'an HTTP request that did not come in its time',
  'http-sign-in-rate': 'a sign-in by ssh key over HTTP, because its source tries too often',
} as const;

/** Why something was turned away. */
export type ShedReason = keyof typeof SHED_REASONS;

/** Counters of one node; they only rise. */
export class Sheds {
  readonly #counts = new Map<ShedReason, number>();

  /** Notes that something was turned away. */
  add(reason: ShedReason, count = 1): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
  }

  /** How often for this reason. */
  count(reason: ShedReason): number {
    return this.#counts.get(reason) ?? 0;
  }

  /** How often in all. */
  get total(): number {
    let total = 0;
    for (const count of this.#counts.values()) total += count;
    return total;
  }

  /** Reasons that have occurred, in the order of `SHED_REASONS`. */
  list(): ReadonlyArray<{ readonly reason: ShedReason; readonly count: number }> {
    const reasons = Object.keys(SHED_REASONS) as ShedReason[];
    return reasons.map((reason) => ({ reason, count: this.count(reason) })).filter(({ count }) => count > 0);
  }
}
