/** What the peer table is made with, and what it tells. The node implements the events; `peer-table.ts` calls them. */
import type { Sheds } from '../shared/index.js';
import type { HeartbeatComponents } from './heartbeat.js';
import type { Link, Peer } from './peer.js';

/** What the table tells its owner. All calls come synchronously from the change. */
export interface PeerTableEvents {
  /** Became a member (again): topology and ring may use it. */
  onUp(peer: Peer): void;
  /** Is a member no longer. */
  onDown(peer: Peer, reason: string): void;
  /** The last connection to a member broke: the moment to dial it again. Comes before `onDown`, if that comes. */
  onLost(peer: Peer): void;
  /** The link in use changed (not called for the first and last one). */
  onLink(peer: Peer): void;
  /** A link ended while others remain. */
  onLinkLost(peer: Peer, link: Link): void;
  /** Anything that a person would see changed. */
  onChange(): void;
  /** Two machines use one id. `other` is where the second one was met. */
  onDuplicateId(peer: Peer, other: string): void;
}

/** What the table needs. */
export interface PeerTableComponents extends HeartbeatComponents {
  readonly events: PeerTableEvents;
  /** Where peers that find no place are counted. */
  readonly sheds?: Sheds;
}
