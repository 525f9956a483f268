/**
 * One other node: what it said of itself, the connections to it, and how it is. Data with a few questions;
 * the peer table changes it.
 */
import type { Connection, DeviceCapabilities, Hello } from '../protocol/index.js';
import { UNKNOWN_CAPABILITIES } from '../protocol/index.js';
import type { RttEstimate } from '../topology/index.js';
import { type ChoiceFacts, preferred } from './connection-choice.js';
import { FlapHistory } from './flap-history.js';
import type { PeerState } from './mesh.js';

/** A connection of a peer, with what decides whether it stays. */
export interface Link extends ChoiceFacts {
  readonly connection: Connection;
  /** The edge's description, as the dialling side sent it. */
  readonly description: string;
  readonly outgoing: boolean;
  /** Set when it was measured to be faster than the link that was in use. */
  faster?: boolean;
  /** Set while it does not answer and another one works. */
  silent?: boolean;
  /** The other end has said goodbye on it: it goes as soon as there is another. */
  leaving?: boolean;
  /** Dial target behind an outgoing link. */
  readonly targetKey: string | undefined;
}

/** One other node. */
export class Peer {
  readonly id: string;
  readonly protocol: 'exo' | 'legacy';
  /** Random per start of the other node; empty for an old peer. */
  instance = '';
  epoch = 0;
  capabilities: DeviceCapabilities = UNKNOWN_CAPABILITIES;
  readonly aliases = new Set<string>();
  readonly links: Link[] = [];
  state: PeerState = 'connecting';
  reason = 'connecting';
  /** When the state was entered. `clock.now()`. */
  stateSinceMs = 0;
  rtt: RttEstimate | undefined;
  lastPingAtMs = Number.NEGATIVE_INFINITY;
  pingPending = false;
  /** When others were last asked whether they reach it. `clock.now()`. */
  askedAboutMs = Number.NEGATIVE_INFINITY;
  /** Another member that reached it while it was silent here. `atMs`: `clock.now()`. */
  vouched: { readonly by: string; readonly atMs: number } | undefined;
  readonly flaps = new FlapHistory();
  /** Connected, and a member again when it has stayed until then. `clock.now()`. */
  heldUntilMs: number | undefined;
  /** Its loss is told to the dialer only then, because it flaps. `clock.now()`. */
  redialAtMs: number | undefined;
  /** Where its last connection came from, or led to. */
  lastHost: string | undefined;
  /** Old peers only: the second connection, for health checks alone (its server is strictly serial). */
  health: Connection | undefined;

  constructor(id: string, protocol: 'exo' | 'legacy') {
    this.id = id;
    this.protocol = protocol;
  }

  /** The link in use. */
  get link(): Link | undefined {
    return preferred(this.links);
  }

  /** Whether requests can be sent now. */
  get reachable(): boolean {
    return this.links.length > 0;
  }

  /** Whether this node counts it as a member. */
  get present(): boolean {
    return this.state === 'alive' || this.state === 'suspect';
  }

  /** `clock.now()` of the last sign of life on any of its connections. */
  get aliveAtMs(): number {
    let latest = this.health?.aliveAtMs ?? Number.NEGATIVE_INFINITY;
    for (const link of this.links) latest = Math.max(latest, link.connection.aliveAtMs);
    return latest;
  }

  /** Takes over what a hello says. */
  learn(hello: Hello): void {
    this.instance = hello.instance;
    this.epoch = hello.epoch;
    this.capabilities = hello.capabilities;
  }
}
