/**
 * What the rest of the program sees of the running mesh: who is there, over which path, and in which shape.
 * `node.ts` puts the implementation together; `api`, `cli` and `tui` know only this.
 */
import type { DiscoveryModuleName, Refusal } from '../discovery/index.js';
import type { DeviceCapabilities } from '../protocol/index.js';
import type { Partition } from '../topology/index.js';
import type { Tunnels } from '../tunnels/index.js';

/** Liveness as this node sees it. `left` said goodbye. */
export type PeerState = 'connecting' | 'alive' | 'suspect' | 'dead' | 'left';

/** One peer, for people and for `--json`. */
export interface PeerSummary {
  readonly id: string;
  /** Names under which it is configured, if they differ from its id. */
  readonly aliases: readonly string[];
  readonly state: PeerState;
  /** Why it is in this state, in words. */
  readonly reason: string;
  /** `exo` speaks hello; `legacy` only the base protocol. */
  readonly protocol: 'exo' | 'legacy';
  /** `host:port` of the connection in use, or of the candidate being dialled. */
  readonly address: string;
  /** `out`: we dialled; `in`: it dialled us. */
  readonly direction: 'out' | 'in';
  /** How it was found: `MAN`, `DIRECT (host)`, … */
  readonly description: string;
  /** The connection in use is encrypted. */
  readonly encrypted: boolean;
  /** How the peer is trusted, in words (`mesh key 1f2e3d4c`); null: a member of an open mesh. */
  readonly trust: string | null;
  /** Smoothed round trip, milliseconds; null before the first. */
  readonly rttMs: number | null;
  /** Bytes a second of its link, as far as that was measured in the last minutes. */
  readonly bytesPerS: number | null;
  /** Milliseconds since anything was heard. */
  readonly silentMs: number | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly capabilities: DeviceCapabilities;
  /** Milliseconds until the next dial, when one is planned. */
  readonly nextDialMs: number | null;
}

/** An edge as the original's API shows it. */
export interface GraphEdge {
  readonly fromId: string;
  readonly toId: string;
  readonly description: string;
}

/** The mesh as this node sees it. Both directions of an edge are listed. */
export interface TopologySnapshot {
  readonly nodes: ReadonlyMap<string, DeviceCapabilities>;
  readonly edges: readonly GraphEdge[];
  /** The node that works on a prompt now. */
  readonly activeNodeId: string | null;
  /** Ids of nodes that speak only the base protocol. */
  readonly legacyIds: ReadonlySet<string>;
  /** 16 hex digits, equal on nodes whose views are equal. */
  readonly digest: string;
  /** Memory-weighted ring, in order. */
  readonly partitions: readonly Partition[];
}

/** Two machines with one id, or another fault that only a person can mend. */
export interface MeshWarning {
  readonly code: string;
  readonly message: string;
  /** `clock.wall()`. */
  readonly atMs: number;
}

/** This node. */
export interface SelfSummary {
  readonly id: string;
  readonly instance: string;
  readonly version: string;
  readonly nodeHost: string;
  readonly nodePort: number;
  readonly startedAtMs: number;
  readonly capabilities: DeviceCapabilities;
  readonly discovery: ReadonlyArray<{ readonly module: DiscoveryModuleName; readonly state: string }>;
}

/** The running mesh. */
export interface Mesh {
  /** The ssh tunnels of this node. */
  readonly tunnels: Tunnels;
  /** Reads peers.json again, now. Rejects with `peers-file-unreadable` or `peers-file-invalid`. */
  reload(): Promise<void>;
  self(): SelfSummary;
  peers(): readonly PeerSummary[];
  /** Candidates that are not used, newest last, each with its reason. */
  refusals(): readonly Refusal[];
  /** Addresses that lead to a peer that is reached over another one, and which. */
  spareAddresses(): readonly Refusal[];
  warnings(): readonly MeshWarning[];
  topology(): TopologySnapshot;
  /**
   * Round trips to a peer (id, alias or unique prefix of an id), in milliseconds, one a second.
   * Throws `peer-unknown`, `node-ambiguous`, `peer-unreachable` or `request-timeout`.
   */
  ping(
    node: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<PingReply>;
  /** Calls `listener` after every change of peers, topology or tunnels; returns the unsubscribe function. */
  onChange(listener: () => void): () => void;
  /** Resolves when at least `count` peers are alive. */
  waitForPeers(count: number, signal: AbortSignal): Promise<void>;
}

/** One round trip. */
export interface PingReply {
  readonly id: string;
  readonly rttMs: number;
  readonly address: string;
  readonly direction: 'out' | 'in';
}
