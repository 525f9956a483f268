/**
 * What a driver is: it opens one ssh session with its forwards and says why it ended. It never retries, never probes and
 * decides nothing: that is the supervisor's. Both drivers pass one compliance suite (test/compliance).
 */
import type { Duplex } from 'node:stream';
import type { DriverName, Endpoint, TunnelSpec } from './description/tunnel-spec.js';
import type { TunnelFailure } from './failure.js';

/** How a session is opened; all times in milliseconds. */
export interface SessionOptions {
  readonly connectTimeoutMs: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveCountMax: number;
  /** Hold a pty session with a harmless command, so that neither end delays small segments (Nagle). */
  readonly pty: boolean;
}

/** What is known once all forwards stand. */
export interface SessionFacts {
  /** Real listening ports in the order of `spec.forward` and `spec.reverse`; undefined for unix sockets. */
  readonly forwardPorts: ReadonlyArray<number | undefined>;
  readonly reversePorts: ReadonlyArray<number | undefined>;
  /** `refused`: asked for, and the server does not allow it. */
  readonly pty: 'held' | 'refused' | 'not-asked';
  /** Where the driver can tell. */
  readonly cipher?: string;
  readonly serverVersion?: string;
  /** Process of the far sshd that holds our `-R` listeners, where an exec session could ask for it. */
  readonly farPid?: number;
  /** Pid of the ssh child (openssh). */
  readonly pid?: number;
}

/** One ssh session, open or on its way. */
export interface TunnelSession {
  /** Resolves once every forward stands; never rejects, and never resolves when `closed` does first. */
  readonly opened: Promise<SessionFacts>;
  /** Resolves once, with why; after it nothing of the session is left: no child, listener, socket file or timer. */
  readonly closed: Promise<TunnelFailure | 'stopped'>;
  /** As `SessionFacts.farPid`, also where it comes later than `opened`; never rejects, and may never resolve. */
  readonly named?: Promise<number>;
  /**
   * Connects to an address as the far machine sees it (`ssh -W`, `direct-tcpip`), to prove a `-R` from its far end.
   * Rejects with an ExoError when refused, closed or aborted.
   */
  connectFar(target: Endpoint, signal: AbortSignal): Promise<Duplex>;
  /** Bytes through the forwards, where the driver can count them. */
  bytes(): { readonly in: number; readonly out: number } | undefined;
  /** Ends the session; resolves with `closed`. Idempotent. */
  close(): Promise<void>;
}

/** A way to open sessions. */
export interface TunnelDriver {
  readonly name: DriverName;
  /** `OpenSSH_9.2p1`, or why it cannot be used here. */
  available(): Promise<{ readonly version: string } | { readonly missing: string }>;
  /** Begins at once. Never throws for anything the spec says: `closed` tells. */
  open(spec: TunnelSpec, options: SessionOptions): TunnelSession;
  /**
   * Ends a stale session of ours on the far machine that still holds a `-R` port, over a session without forwards:
   * signals the process `farPid` if it is an sshd of the same user. Resolves to whether something was ended; rejects
   * (`tunnel-failed`, or the signal's reason) when it could not be tried.
   */
  evict(spec: TunnelSpec, farPid: number, options: SessionOptions, signal: AbortSignal): Promise<boolean>;
  /** The TCP address that is dialled first (after ssh_config and jump hosts), for a cheap knock; undefined behind a ProxyCommand. */
  firstHop(
    spec: TunnelSpec,
    signal: AbortSignal,
  ): Promise<{ readonly host: string; readonly port: number } | undefined>;
  /** Ends what the driver holds for all its sessions. */
  stop(): Promise<void>;
}
