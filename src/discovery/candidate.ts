/**
 * A candidate is an address that might lead to a peer, and what was claimed about it. Nothing here is
 * proven: the node dials, and only the hello (or, for an old peer, the configured id) makes a peer.
 */
import type { DeviceCapabilities } from '../protocol/index.js';
import type { Address, ErrorCode, Startable } from '../shared/index.js';

/** The modules of the original, tailscale excepted. */
export type DiscoveryModuleName = 'manual' | 'direct' | 'udp' | 'tcp';

/** One address, heard of in one way. */
export interface Candidate {
  /** Identity of this candidate: the same module hearing the same thing again gives the same key. */
  readonly key: string;
  readonly module: DiscoveryModuleName;
  readonly address: Address;
  /** The id by which it was configured or announced; an alias once the hello tells another. */
  readonly claimedId: string;
  /** What was configured or announced, until the peer tells its own. */
  readonly capabilities?: DeviceCapabilities;
  /** Edge description in the original's words: `MAN`, `DIRECT (host)`, `TCP (host)`, `Ethernet (eth0)`. */
  readonly description: string;
  /** Higher is better; the original's interface priorities for udp, 4 (Ethernet) where nothing is known. */
  readonly priority: number;
  /** The class of the announcing interface (udp): `Ethernet`, `WiFi`, …; what `--interface-type-filter` compares. */
  readonly interfaceType?: string;
  /** Named by the user (manual, direct): kept while configured, full frame limits, never expires. */
  readonly configured: boolean;
  /** peers.json `tunnel`, kept opaque here. */
  readonly tunnel?: unknown;
}

/** Something heard that is not used, and why, in words. */
export interface Refusal {
  readonly module: DiscoveryModuleName | 'inbound';
  /** What it was: an address, an id, a file entry. */
  readonly subject: string;
  readonly code: ErrorCode;
  /** A sentence for a person, with the way out where there is one. */
  readonly reason: string;
  /** `clock.wall()`. */
  readonly atMs: number;
}

/** A refusal as it is reported. */
export type NewRefusal = Omit<Refusal, 'atMs'> & {
  /** The host whose doing it is: what one makes up is not to push out the rest. Absent: what the user configured. */
  readonly source?: string;
};

/** Where a module reports. The candidate pool implements it. */
export interface CandidateSink {
  /** Heard (again). `expiresInMs`: forgotten unless heard again; absent: stays until withdrawn. */
  offer(candidate: Candidate, options?: { readonly expiresInMs?: number }): void;
  /** No longer configured or announced. */
  withdraw(key: string): void;
  /** Not used, and why. */
  refuse(refusal: NewRefusal): void;
  /** Whether what was offered under the key has a place. */
  has?(key: string): boolean;
  /** What was refused is all right now: its refusals are forgotten. */
  unrefuse?(subject: string): void;
}

/** What a module needs to know of the node it works for. */
export interface DiscoverySelf {
  readonly nodeId: string;
  /** The protocol listener's port, known after start. */
  nodePort(): number;
  capabilities(): DeviceCapabilities;
  /** Hosts of peers that are connected now (tcp asks them first). */
  peerHosts(): readonly string[];
}

/** One way of finding candidates. */
export interface DiscoveryModule extends Startable {
  readonly name: DiscoveryModuleName;
  /** One line for `exo status`: what it does now, or why it can't. */
  describe(): string;
  /** Reads its file again, where it has one; rejects when that cannot be used. */
  reload?(): Promise<void>;
}
