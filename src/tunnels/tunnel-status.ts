/** What people and programs see of a tunnel: the shapes behind `exo tunnel status`, `/v1/tunnels` and the page. */

import type { DriverName, TunnelSource, TunnelSpec } from './description/tunnel-spec.js';
import type { TunnelFailureCode } from './failure.js';

/**
 * starting: ssh connects · gate: the forwards stand and the first proof is on its way · up: proven end to end ·
 * degraded: the session stands, the proof fails · backoff: waits for the next try · failed: stays down until something is
 * changed · stopped: closed by a person.
 */
export type TunnelState = 'starting' | 'gate' | 'up' | 'degraded' | 'backoff' | 'failed' | 'stopped';

/**
 * What a probe through one forward said. `ok`: a health check came back · `closed`: ssh answers and nothing listens at the
 * target (the remote node is down) · `silent`: no answer in time · `not-exo`: something else answers (wrong port) ·
 * `untested`: not probed yet, or not to be.
 */
export type ForwardVerdict = 'ok' | 'closed' | 'silent' | 'not-exo' | 'untested';

/** One `-L` or `-R` of a tunnel. */
export interface ForwardStatus {
  readonly kind: 'L' | 'R';
  /** As written. */
  readonly text: string;
  /** Listening end with its real port: `127.0.0.1:50052`, or a path. */
  readonly listen: string;
  readonly target: string;
  readonly verdict: ForwardVerdict;
  /** Last round trip through it, milliseconds. */
  readonly rttMs: number | null;
}

/** One tunnel as it stands. Times in milliseconds since the Unix epoch (`…AtMs`) or durations (`…Ms`). */
export interface TunnelStatus {
  readonly name: string;
  readonly source: TunnelSource;
  readonly peer: string | null;
  /** `user@host:port` as written. */
  readonly destination: string;
  readonly driver: DriverName | null;
  readonly state: TunnelState;
  /** Why it is in this state, in words. */
  readonly reason: string;
  /** The failure behind it, while it is not up; `remote-node-down` and `port-mismatch` come from the probe. */
  readonly code: TunnelFailureCode | 'remote-node-down' | 'port-mismatch' | null;
  readonly sinceAtMs: number;
  readonly upSinceAtMs: number | null;
  /** Sessions opened after the first. */
  readonly restarts: number;
  readonly nextTryInMs: number | null;
  readonly bytesIn: number | null;
  readonly bytesOut: number | null;
  /** Smoothed round trip of the probe, milliseconds. */
  readonly rttMs: number | null;
  readonly forwards: readonly ForwardStatus[];
  readonly pid: number | null;
  readonly cipher: string | null;
  /** What is worth knowing and no fault: a held pty and what it costs, a clash, a cipher. */
  readonly notes: readonly string[];
}

/** One line of a tunnel's bounded history. */
export interface TunnelEvent {
  readonly atMs: number;
  readonly from: TunnelState;
  readonly to: TunnelState;
  readonly code: TunnelStatus['code'];
  readonly reason: string;
}

/** What the rooms above may do with tunnels; the manager implements it, `node` hands it on. */
export interface Tunnels {
  list(): readonly TunnelStatus[];
  /** Throws `tunnel-unknown`. */
  get(name: string): TunnelStatus;
  /** Newest last. Throws `tunnel-unknown`. */
  history(name: string): readonly TunnelEvent[];
  /** Opens one that a person described. Throws `tunnel-exists`, `tunnel-clash` or `tunnel-spec-invalid`. */
  open(spec: TunnelSpec): TunnelStatus;
  /** Closes and forgets one that a person opened; one of peers.json is closed until it changes there. Throws `tunnel-unknown`. */
  close(name: string): Promise<void>;
  /** Tries again now: a failed one starts anew, a waiting one does not wait. Absent name: all. Throws `tunnel-unknown`. */
  retry(name?: string): void;
  /** Resolves when those that peers.json has no more, or not so any more, have let go of their ports. */
  released(): Promise<void>;
  /** Called after every change; returns the unsubscribe function. */
  onChange(listener: () => void): () => void;
}
