/** What the room is made with: plain options, and the few collaborators that the node hands in. */
import type { Duplex } from 'node:stream';
import type { Clock, Logger, Random, Startable } from '../shared/index.js';
import type { TunnelSpec } from './description/tunnel-spec.js';
import type { TunnelDriver } from './driver.js';
import type { LocalSockets } from './local-sockets.js';
import type { Tunnels } from './tunnel-status.js';

/**
 * Proves that an exo node answers at the other end of a stream that has just been opened: sends a health check and
 * resolves when its answer is complete. Rejects with `connection-closed` when the stream ends before a byte came,
 * `frame-bad-magic` (or another frame code) when something else answers, or the signal's reason. Does not close the stream:
 * the next check may go through the same one. `padBytes`: the request carries about so many bytes that nobody reads.
 */
export type TunnelProbe = (
  stream: Duplex,
  signal: AbortSignal,
  options?: { readonly padBytes?: number },
) => Promise<{ readonly rttMs: number }>;

/** Plain data. */
export interface TunnelsOptions {
  /** Between two probes of a tunnel that is up. @default LIMITS.tunnelProbeIntervalMs */
  readonly probeIntervalMs?: number;
  /** @default LIMITS.tunnelProbeTimeoutMs */
  readonly probeTimeoutMs?: number;
  /** Folder of this node for control sockets, generated ssh configuration and the pids of far sessions; made 0700. */
  readonly stateFolder: string;
}

/** Collaborators. */
export interface TunnelsComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly probe: TunnelProbe;
  /** Ports of this machine that the node itself uses, and for what ("the HTTP API"): a forward must not take them. */
  readonly ownPorts: () => ReadonlyArray<{ readonly port: number; readonly what: string }>;
  /** Whether a peer is connected through a tunnel: then its session is not ended to make it faster. @default never known */
  isInUse?(spec: TunnelSpec): boolean;
  /** A tunnel has become `up` (again): dial what it leads to now. */
  onUp?(spec: TunnelSpec): void;
  /** @default both, openssh first */
  readonly drivers?: readonly TunnelDriver[];
  /** Addresses of this machine as text, compared to notice a network change. @default os.networkInterfaces() */
  readonly interfaces?: () => string;
  /** What probes and knocks connect with. @default TCP and unix sockets of this machine */
  readonly sockets?: LocalSockets;
}

/** The tunnels of one node. */
export interface TunnelManager extends Tunnels, Startable {
  /** What peers.json says now: opens what is new, closes what is gone, restarts what changed, leaves the rest alone. */
  apply(specs: readonly TunnelSpec[]): void;
  /** The far side was heard of (it dialled in): tunnels to it that wait try again now. */
  hint(peer: string): void;
}
