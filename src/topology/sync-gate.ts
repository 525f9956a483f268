/**
 * Whether to compare views with a new neighbour. Of a pair, the side that started later asks (a newcomer has
 * less to tell); and a view that was just asked for is not asked for again, so that a node that joins a mesh of
 * a hundred asks once, not a hundred times. Pure.
 */
import { LIMITS } from '../shared/index.js';
import type { TopologyView } from './view.js';

/** Remembers by digest which views were asked for. */
export class SyncGate {
  readonly #view: TopologyView;
  readonly #askedAtMs = new Map<string, number>();

  constructor(view: TopologyView) {
    this.#view = view;
  }

  /** Call once for a new connection, with what its hello said; true: send a sync (0x54) to it now. */
  shouldAsk(
    peer: { readonly id: string; readonly epoch: number; readonly digest: string },
    nowMs: number,
  ): boolean {
    for (const [digest, askedAtMs] of this.#askedAtMs) {
      if (nowMs - askedAtMs >= LIMITS.topologySyncMemoryMs) this.#askedAtMs.delete(digest);
    }
    const own = this.#view.own;
    const later = own.epoch > peer.epoch || (own.epoch === peer.epoch && own.id > peer.id);
    // The own digest last: it may have to be computed anew.
    if (!later || this.#askedAtMs.has(peer.digest) || peer.digest === this.#view.digest()) return false;
    this.#askedAtMs.set(peer.digest, nowMs);
    return true;
  }

  /** The sync got no answer: somebody else with the same view may be asked. */
  failed(digest: string): void {
    this.#askedAtMs.delete(digest);
  }
}
