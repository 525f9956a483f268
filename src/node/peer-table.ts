/**
 * All peers by id. Decides who a connection belongs to, which of several stays, when a peer is alive, suspect or
 * dead, and that two machines with one id are never merged. It starts no dials and knows no addresses.
 */
import type { CloseReason, Connection, Hello } from '../protocol/index.js';
import { ExoError, LIMITS, type Startable } from '../shared/index.js';
import { Heartbeat, type Patients } from './heartbeat.js';
import { LinkRates } from './link-rates.js';
import { LinkSettlement } from './link-settlement.js';
import type { PeerState } from './mesh.js';
import { type Link, Peer } from './peer.js';
import type { PeerTableComponents } from './peer-table-events.js';
import { pingPeer } from './ping.js';
import type { SecondOpinion } from './second-opinion.js';

/** How long an old connection has to answer when a newcomer claims the same id. */
const CHALLENGE_MS = 1_500;

/** Every other node that this one knows by a connection. */
export class PeerTable implements Startable, Patients {
  readonly #c: PeerTableComponents;
  readonly #peers = new Map<string, Peer>();
  readonly #heartbeat: Heartbeat;
  readonly #links: LinkSettlement;
  /** What the links carry. */
  readonly rates: LinkRates;

  constructor(components: PeerTableComponents) {
    this.#c = components;
    this.#heartbeat = new Heartbeat(this, components);
    this.#links = new LinkSettlement(components);
    this.rates = new LinkRates({ clock: components.clock, peers: () => this.#peers.values() });
  }

  async start(): Promise<void> {
    await this.#heartbeat.start();
  }

  /** Says goodbye on every connection and forgets all peers. */
  async stop(): Promise<void> {
    await this.#heartbeat.stop();
    this.rates.stop();
    const closing: Promise<void>[] = [];
    for (const peer of this.#peers.values()) {
      for (const link of peer.links) {
        if (peer.protocol === 'exo') link.connection.notify({ kind: 'goodbye', reason: 'stopping' });
        closing.push(link.connection.close());
      }
      if (peer.health !== undefined) closing.push(peer.health.close());
    }
    await Promise.all(closing);
    this.#peers.clear();
  }

  get(id: string): Peer | undefined {
    return this.#peers.get(id);
  }

  all(): IterableIterator<Peer> {
    return this.#peers.values();
  }

  /** Whether the peer is a member and can be talked to. */
  isUp(id: string): boolean {
    const peer = this.#peers.get(id);
    return peer?.present === true && peer.reachable;
  }

  /** Whether there is a connection to the peer, member or not. */
  isReached(id: string): boolean {
    return this.#peers.get(id)?.reachable === true;
  }

  /** Asks others about suspects, and answers them. */
  get opinion(): SecondOpinion {
    return this.#heartbeat.opinion;
  }

  /**
   * Takes a connection whose hello was exchanged. Resolves to the peer; rejects with `duplicate-id` when another
   * living machine has that id, `overloaded` when the table is full. The connection is closed when it rejects.
   */
  async adopt(link: Link, hello: Hello): Promise<Peer> {
    let peer = this.#peers.get(hello.nodeId);
    if (peer !== undefined && peer.instance !== hello.instance && peer.protocol === 'exo' && peer.reachable) {
      await this.#challenge(peer, link, hello);
      peer = this.#peers.get(hello.nodeId);
    }
    if (peer !== undefined && peer.instance !== hello.instance && peer.protocol === 'exo') {
      this.#dropAll(peer, 'it was started again');
    }
    assertOpen(link.connection, 'its hello');
    if (peer !== undefined && peer.protocol === 'legacy')
      this.#dropAll(peer, 'it now speaks the new protocol');
    if (peer === undefined || peer.protocol === 'legacy') peer = this.#create(hello.nodeId, 'exo', link);
    peer.learn(hello);
    this.#addLink(peer, link);
    return peer;
  }

  /**
   * Takes a dialled connection to an old peer, known by the id it was configured or announced with. Throws `duplicate-id`,
   * `overloaded`, or `connection-closed` when one of the two has ended meanwhile.
   */
  adoptLegacy(id: string, link: Link, health: Connection, capabilities: Hello['capabilities']): Peer {
    for (const connection of [link.connection, health]) assertOpen(connection, 'a health check');
    let peer = this.#peers.get(id);
    if (peer?.protocol === 'exo' && peer.reachable) {
      throw new ExoError(
        'duplicate-id',
        `${link.connection.remote} is configured as ${id}, but ${id} is another node that is connected already`,
      );
    }
    if (peer?.protocol === 'exo') this.#dropAll(peer, 'an older program answers at its address');
    if (peer === undefined || peer.protocol === 'exo') peer = this.#create(id, 'legacy', link);
    peer.capabilities = capabilities;
    this.#addLink(peer, link);
    // Health is asked over the path in use; the other one's connection has no further use.
    if (peer.link === link || peer.health === undefined) {
      void peer.health?.close();
      peer.health = health;
    } else void health.close();
    return peer;
  }

  /** A connection ended. Finds its peer and decides what that means. */
  lose(connection: Connection, reason: CloseReason): void {
    for (const peer of this.#peers.values()) {
      if (peer.health === connection) {
        peer.health = undefined;
        for (const link of peer.links.splice(0)) void link.connection.close();
        this.#lost(peer, reason);
        return;
      }
      const index = peer.links.findIndex((link) => link.connection === connection);
      if (index < 0) continue;
      const inUse = peer.link;
      const [link] = peer.links.splice(index, 1);
      if (peer.links.length === 0) this.#lost(peer, reason);
      else {
        this.#c.events.onLinkLost(peer, link!);
        if (inUse === link) this.#c.events.onLink(peer);
      }
      this.#c.events.onChange();
      return;
    }
  }

  /** The other end takes a connection out of use, because another one has taken over. */
  leave(connection: Connection): void {
    for (const peer of this.#peers.values()) {
      const link = peer.links.find((each) => each.connection === connection);
      if (link !== undefined) this.#links.leave(peer, link);
    }
  }

  /** Closes a peer for good (it was removed from the configuration). */
  disconnect(peer: Peer, reason: string): void {
    this.#dropAll(peer, reason);
    this.#set(peer, 'left', reason);
  }

  /** An address leads to another node than before: what is left of the connection to the former one goes. */
  leaveAddress(targetKey: string, nowLeadsTo: string): void {
    for (const peer of this.#peers.values()) {
      if (peer.id === nowLeadsTo) continue;
      for (const link of peer.links) if (link.targetKey === targetKey) void link.connection.close();
    }
  }

  /** Measures a round trip now. Rejects with `peer-unreachable` or `request-timeout`. */
  ping(peer: Peer, timeoutMs: number, signal?: AbortSignal): Promise<number> {
    return pingPeer(this.#c.clock, peer, timeoutMs, signal);
  }

  #create(id: string, protocol: 'exo' | 'legacy', link: Link): Peer {
    if (this.#peers.size >= LIMITS.peersMax && !this.#peers.has(id)) {
      for (const peer of this.#peers.values()) {
        if (!peer.reachable && !peer.present) {
          this.#peers.delete(peer.id);
          break;
        }
      }
    }
    if (this.#peers.size >= LIMITS.peersMax && !this.#peers.has(id)) {
      void link.connection.close();
      this.#c.sheds?.add('peers-full');
      throw new ExoError('overloaded', `this node has ${LIMITS.peersMax} peers already`, { retryable: true });
    }
    const peer = new Peer(id, protocol);
    peer.stateSinceMs = this.#c.clock.now();
    this.#peers.set(id, peer);
    return peer;
  }

  #addLink(peer: Peer, link: Link): void {
    const before = peer.link;
    this.#links.add(peer, link);
    peer.redialAtMs = undefined;
    peer.lastHost = link.connection.remoteHost;
    if (!peer.present) {
      if (peer.heldUntilMs === undefined) this.#admit(peer, link);
    } else {
      if (peer.state === 'suspect') this.#set(peer, 'alive', 'heard again');
      if (before !== peer.link) this.#c.events.onLink(peer);
    }
    this.#c.events.onChange();
  }

  /** It is a member at once, or, when it flaps, after it has stayed for a while. */
  #admit(peer: Peer, link: Link): void {
    const where = `connected ${link.outgoing ? 'to' : 'from'} ${link.connection.remote}`;
    const now = this.#c.clock.now();
    const holdMs = peer.flaps.holdMs(now);
    if (holdMs === 0) {
      this.#set(peer, 'alive', where);
      return;
    }
    peer.heldUntilMs = now + holdMs;
    const count = peer.flaps.count(now);
    this.#c.logger.warn('peer-flapping', { peer: peer.id, deaths: count, holdMs });
    this.#set(
      peer,
      'connecting',
      `${where}, but it was lost ${count} times within a minute: a member again when it has stayed for ${holdMs / 1000} s`,
    );
  }

  /** A newcomer claims the id of a peer that is connected: if the old one still answers, there are two machines. */
  async #challenge(peer: Peer, newcomer: Link, hello: Hello): Promise<void> {
    const answered = await this.ping(peer, CHALLENGE_MS).then(
      () => true,
      () => false,
    );
    const still = this.#peers.get(hello.nodeId);
    if (answered && still?.reachable && still.instance !== hello.instance) {
      const where = newcomer.connection.remote;
      this.#c.events.onDuplicateId(still, where);
      const message = `another machine at ${still.link?.connection.remote ?? 'an unknown address'} is already on the mesh as "${hello.nodeId}": give one of the two another --node-id`;
      newcomer.connection.notify({ kind: 'notice', code: 'duplicate-id', message });
      await newcomer.connection.close();
      throw new ExoError('duplicate-id', `${where} calls itself "${hello.nodeId}", but ${message}`);
    }
  }

  #dropAll(peer: Peer, reason: string, error?: ExoError): void {
    const links = peer.links.splice(0);
    for (const link of links) void link.connection.close(error && { by: 'error', error });
    void peer.health?.close();
    peer.health = undefined;
    if (!this.#gone(peer, reason)) return;
    this.#redialSoon(peer);
  }

  #lost(peer: Peer, reason: CloseReason): void {
    const why =
      reason.error?.message ?? (reason.by === 'remote' ? 'it closed the connection' : 'closed here');
    if (reason.goodbye === 'stopping' && peer.present) this.#down(peer, 'left', 'it said goodbye');
    else if (peer.present) this.#set(peer, 'suspect', `${why}; dialling again`);
    else if (!this.#gone(peer, why)) return;
    this.#redialSoon(peer);
    this.#c.events.onChange();
  }

  /** Its last connection is gone for good. False when that was known. */
  #gone(peer: Peer, reason: string): boolean {
    if (peer.present) this.#down(peer, 'dead', reason);
    else if (peer.heldUntilMs === undefined) return false;
    else {
      // It never became a member again: nobody has to be told.
      peer.flaps.died(this.#c.clock.now());
      this.#set(peer, 'dead', reason);
    }
    return true;
  }

  /** One that flaps is not dialled the moment it is lost. */
  #redialSoon(peer: Peer): void {
    const now = this.#c.clock.now();
    const waitMs = peer.flaps.holdMs(now);
    if (waitMs === 0) this.redial(peer);
    else peer.redialAtMs = now + waitMs;
  }

  /** The dialer may try its addresses. */
  redial(peer: Peer): void {
    peer.redialAtMs = undefined;
    this.#c.events.onLost(peer);
  }

  /**
   * The dialer could not reach a peer whose connection was lost: it is gone now, not after the grace. A dial that was under way
   * before the loss broke with the connection and says nothing of what came after; while another try is under way, that decides.
   */
  unreachable(id: string, why: string, dialledAtMs: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.reachable || !peer.present || dialledAtMs < peer.stateSinceMs) return;
    if (this.#heartbeat.wokeWithin(LIMITS.reconnectGraceMs) || this.#c.isMeeting(id)) return;
    this.#down(peer, 'dead', why);
    this.#c.events.onChange();
  }

  /** The pulse's verdict on a member that is still connected. */
  judge(peer: Peer, state: 'alive' | 'suspect', reason: string): void {
    this.#set(peer, state, reason);
    this.#c.events.onChange();
  }

  /** It was silent for too long, or did not come back. */
  declareDead(peer: Peer, reason: string): void {
    const error = new ExoError('connection-closed', reason, { retryable: true });
    if (peer.reachable) this.#dropAll(peer, reason, error);
    else this.#down(peer, 'dead', reason);
    this.#c.events.onChange();
  }

  /** A dead peer was listed for long enough. */
  forget(peer: Peer): void {
    this.#peers.delete(peer.id);
    this.#c.events.onChange();
  }

  #set(peer: Peer, state: PeerState, reason: string): void {
    const wasPresent = peer.present;
    if (state !== 'connecting') peer.heldUntilMs = undefined;
    peer.state = state;
    peer.reason = reason;
    peer.stateSinceMs = this.#c.clock.now();
    if (!wasPresent && peer.present) this.#c.events.onUp(peer);
  }

  #down(peer: Peer, state: 'dead' | 'left', reason: string): void {
    if (state === 'dead') peer.flaps.died(this.#c.clock.now());
    this.#set(peer, state, reason);
    this.#c.events.onDown(peer, reason);
  }
}

/** Its end was told before anybody knew whose it is: nobody would hear of it again. */
function assertOpen({ state, remote }: Connection, after: string): void {
  if (state !== 'closed') return;
  throw new ExoError('connection-closed', `${remote} closed the connection after ${after}`, {
    retryable: true,
  });
}
