/**
 * Several connections to one peer become one: both ends know which stays, the end that dialled a loser closes it when
 * its last answer has left, and of two own paths of equal priority the round trip decides. Used by the peer table.
 */
import { type Clock, LIMITS } from '../shared/index.js';
import { preferred } from './connection-choice.js';
import { isFaster } from './path-race.js';
import type { Link, Peer } from './peer.js';

/** What settling needs, and whom it tells. */
export interface LinkSettlementComponents {
  readonly clock: Clock;
  readonly events: {
    onLink(peer: Peer): void;
    onLinkLost(peer: Peer, link: Link): void;
    onChange(): void;
  };
}

/** A loser is closed when its last request is answered, but not later than this. */
const DRAIN_MS = 5_000;
const DRAIN_CHECK_MS = 50;

/** Decides which connections of a peer stay. */
export class LinkSettlement {
  readonly #c: LinkSettlementComponents;

  constructor(components: LinkSettlementComponents) {
    this.#c = components;
  }

  /** Takes a new connection in; it, or another one, may be gone when this returns. */
  add(peer: Peer, link: Link): void {
    peer.links.push(link);
    const { outgoing, targetKey } = link;
    for (const former of [...peer.links]) {
      // The address of this target was changed: the connection to its former one goes.
      if (outgoing && former !== link && former.outgoing && former.targetKey === targetKey) {
        this.#retire(peer, former);
      }
    }
    this.#settle(peer);
  }

  /** Where both ends dialled, both know which connection stays; the loser is closed by the end that dialled it. */
  #settle(peer: Peer): void {
    const stays = preferred(peer.links);
    for (const link of [...peer.links]) {
      if (link === stays || stays === undefined) continue;
      if (link.outgoing && this.#mayRace(peer, stays, link)) void this.#race(peer, stays, link);
      else if (link.outgoing) this.#retire(peer, link);
      else if (peer.links.length > LIMITS.connectionsPerPeer) void link.connection.close();
    }
  }

  /** Two own paths of equal priority: the round trip decides. */
  #mayRace(peer: Peer, current: Link, challenger: Link): boolean {
    return peer.protocol === 'exo' && current.outgoing && current.priority === challenger.priority;
  }

  async #race(peer: Peer, current: Link, challenger: Link): Promise<void> {
    const faster = await isFaster(this.#c.clock, current.connection, challenger.connection);
    const { links } = peer;
    if (!links.includes(challenger)) return;
    if (!links.includes(current)) {
      // Another race or an end came first: whoever is in use now is the one to beat.
      this.#settle(peer);
      return;
    }
    if (faster) challenger.faster = true;
    this.#retire(peer, faster ? current : challenger);
    if (faster) {
      peer.rtt = undefined;
      this.#c.events.onLink(peer);
    }
    this.#c.events.onChange();
  }

  #retire(peer: Peer, link: Link): void {
    const index = peer.links.indexOf(link);
    if (index >= 0) peer.links.splice(index, 1);
    this.#c.events.onLinkLost(peer, link);
    if (peer.protocol === 'exo') link.connection.notify({ kind: 'goodbye', reason: 'duplicate' });
    const deadlineMs = this.#c.clock.now() + DRAIN_MS;
    const check = () => {
      const { pending, serving, queuedBytes } = link.connection.stats;
      const idle = pending === 0 && serving === 0 && queuedBytes === 0;
      if (idle || this.#c.clock.now() >= deadlineMs) void link.connection.close();
      else if (link.connection.state !== 'closed') this.#c.clock.after(DRAIN_CHECK_MS, check);
    };
    check();
  }
}
