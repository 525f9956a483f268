/**
 * The connections that have not said hello yet: how many, from where, and who leaves when one more comes and there is no
 * place. Bookkeeping without timers or sockets; the acceptor asks it. Whoever has become a peer (or an old one) is not in it.
 */
import { isLoopback, LIMITS, type ShedReason } from '../shared/index.js';

/** An accepted connection, as far as the door is concerned. */
export interface Visitor {
  /** It has not said hello, nor spoken as an old peer. */
  isStranger(): boolean;
  /** It has not said a byte. */
  isSilent(): boolean;
  /** Shows it out. */
  dismiss(): void;
  readonly closed: Promise<unknown>;
}

/** Who goes, and why. */
export interface Eviction {
  readonly visitor: Visitor;
  readonly reason: ShedReason;
}

interface Place {
  readonly host: string;
  readonly sinceMs: number;
}

/** Loopback is one source with many tunnels behind it. */
const LOOPBACK_SHARE = 4;
/** From so many strangers on, a place is worth something, and silence is not waited for as long. */
const CROWD = LIMITS.pendingHandshakes / 4;

/** Strangers in the order in which they came. */
export class WaitingRoom {
  readonly #places = new Map<Visitor, Place>();
  /** When there was last a crowd. */
  #crowdAtMs = Number.NEGATIVE_INFINITY;

  get size(): number {
    return this.#places.size;
  }

  /** Takes one in; to be called when `makeRoom` has found a place. */
  enter(visitor: Visitor, host: string, nowMs: number): void {
    this.#places.set(visitor, { host, sinceMs: nowMs });
    if (this.#places.size > CROWD) this.#crowdAtMs = nowMs;
  }

  leave(visitor: Visitor): void {
    this.#places.delete(visitor);
  }

  /**
   * Whether one more from `host` has a place, and who has to go for that. Under a flood the one who came longest ago goes, for
   * an honest handshake is short (an attacker can say a byte as well as another), and always one of the source that holds most.
   * Nobody goes at once: where all have just come it is the newcomer who is turned away.
   *
   * @param isFull the node has no place for any more connection, whatever its kind
   */
  makeRoom(host: string, nowMs: number, isFull = false): { admitted: boolean; leaves?: Eviction } {
    this.#forgetFriends();
    const perSource = LIMITS.pendingHandshakesPerSource * (isLoopback(host) ? LOOPBACK_SHARE : 1);
    const isCrowded = isFull || this.#places.size >= LIMITS.pendingHandshakes;
    const counts = new Map<string, number>();
    for (const { host: source } of this.#places.values()) counts.set(source, (counts.get(source) ?? 0) + 1);
    if (!isCrowded && (counts.get(host) ?? 0) < perSource) return { admitted: true };
    let from = host;
    if (isCrowded) for (const [source, count] of counts) if (count > (counts.get(from) ?? 0)) from = source;
    for (const [visitor, place] of this.#places) {
      if (nowMs - place.sinceMs < LIMITS.handshakeChanceMs) break;
      if (place.host === from) return { admitted: true, leaves: { visitor, reason: 'handshake-full' } };
    }
    return { admitted: false };
  }

  /** Those who sat through a crowd without a word for as long as a handshake may take. */
  overdue(nowMs: number): Eviction[] {
    this.#forgetFriends();
    const overdue: Eviction[] = [];
    for (const [visitor, { sinceMs }] of this.#places) {
      if (nowMs - sinceMs < LIMITS.silentInCrowdMs) break;
      if (sinceMs <= this.#crowdAtMs && visitor.isSilent()) {
        overdue.push({ visitor, reason: 'handshake-silent' });
      }
    }
    return overdue;
  }

  #forgetFriends(): void {
    for (const visitor of this.#places.keys()) if (!visitor.isStranger()) this.#places.delete(visitor);
  }
}
