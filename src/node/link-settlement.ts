/**
 * Several connections to one peer become one: both ends know which stays, the end that dialled a loser says goodbye on it, and
 * the other end closes it when its last word on it has left: so nothing that is on its way is lost. Of two own paths of equal
 * priority the round trip decides. A connection that does not answer when another one comes is lost at the other end, where nothing
 * of that has arrived here: what is sent on it would be lost for as long as TCP tries. Used by the peer table.
 */
import { type Clock, ExoError, LIMITS } from '../shared/index.js';
import { preferred } from './connection-choice.js';
import { isFaster, roundTripMs } from './path-race.js';
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

/** A loser is closed when its last request is answered, but not later than this; nor is the other end waited for any longer. */
const DRAIN_MS = 5_000;
const DRAIN_CHECK_MS = 50;

const LOST = new ExoError('connection-closed', 'it does not answer, and a newer connection does', {
  retryable: true,
});

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
      } else if (former !== link && former.leaving === true) this.#release(peer, former);
    }
    this.#settle(peer);
    if (peer.protocol === 'legacy') return;
    for (const former of peer.links) if (former !== link) void this.#examine(peer, former, link);
  }

  /** The other end has said goodbye on this connection: nothing more is sent on it where there is another. */
  leave(peer: Peer, link: Link): void {
    link.leaving = true;
    if (peer.links.length > 1) this.#release(peer, link);
  }

  /** Asks a connection whether it is still one, when another has come. Where neither answers, it is the path that is broken. */
  async #examine(peer: Peer, former: Link, newcomer: Link): Promise<void> {
    const { clock } = this.#c;
    let works = false;
    const newcomerAnswers = roundTripMs(clock, newcomer.connection).then((rttMs) => {
      works = rttMs < Number.POSITIVE_INFINITY;
    });
    const doubt = clock.after(LIMITS.linkDoubtMs, () => {
      if (works) this.#setSilent(peer, former, true);
    });
    const isAnswered = (await roundTripMs(clock, former.connection)) < Number.POSITIVE_INFINITY;
    doubt.cancel();
    await newcomerAnswers;
    if (isAnswered || !works) this.#setSilent(peer, former, false);
    else if (peer.links.includes(newcomer)) this.#discard(peer, former, LOST);
  }

  /** Closes one that the other end has lost, or has no need of; at once out of use, because a close takes its time. */
  #discard(peer: Peer, link: Link, error?: ExoError): void {
    if (!peer.links.includes(link)) return;
    const inUse = peer.link;
    this.#takeOff(peer, link);
    if (inUse === link) this.#c.events.onLink(peer);
    void link.connection.close(error && { by: 'error', error });
    this.#c.events.onChange();
  }

  #setSilent(peer: Peer, link: Link, silent: boolean): void {
    if ((link.silent ?? false) === silent || !peer.links.includes(link)) return;
    const inUse = peer.link;
    link.silent = silent;
    if (peer.link !== inUse) {
      peer.rtt = undefined;
      this.#c.events.onLink(peer);
    }
    this.#settle(peer);
    this.#c.events.onChange();
  }

  /** Where both ends dialled, both know which connection stays; the loser is closed by the end that dialled it. */
  #settle(peer: Peer): void {
    const stays = preferred(peer.links);
    for (const link of [...peer.links]) {
      if (link === stays || stays === undefined) continue;
      if (link.outgoing && this.#mayRace(peer, stays, link)) void this.#race(peer, stays, link);
      else if (link.outgoing) this.#retire(peer, link);
      else if (peer.links.length > LIMITS.connectionsPerPeer) this.#discard(peer, link);
    }
  }

  /** Two own paths of equal priority: the round trip decides. */
  #mayRace(peer: Peer, current: Link, challenger: Link): boolean {
    if (peer.protocol !== 'exo' || challenger.silent === true) return false;
    return current.outgoing && current.priority === challenger.priority;
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

  /** Says goodbye. What the other end has on its way still arrives: it closes, and is waited for. */
  #retire(peer: Peer, link: Link): void {
    this.#takeOff(peer, link);
    if (peer.protocol === 'legacy') {
      this.#closeWhenIdle(link);
      return;
    }
    link.connection.notify({ kind: 'goodbye', reason: 'duplicate' });
    const timer = this.#c.clock.after(DRAIN_MS, () => void link.connection.close());
    void link.connection.closed.then(() => timer.cancel());
  }

  /** The other end has said goodbye, so everything that it sent before is here. */
  #release(peer: Peer, link: Link): void {
    const inUse = peer.link;
    this.#takeOff(peer, link);
    if (inUse === link) this.#c.events.onLink(peer);
    this.#closeWhenIdle(link);
  }

  #takeOff(peer: Peer, link: Link): void {
    const index = peer.links.indexOf(link);
    if (index >= 0) peer.links.splice(index, 1);
    this.#c.events.onLinkLost(peer, link);
  }

  #closeWhenIdle(link: Link): void {
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
