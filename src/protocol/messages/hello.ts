/**
 * The hello: what a new peer says of itself inside a health check, and what both sides then use.
 * An old peer never reads it. Pure.
 */
import type { DeviceCapabilities } from './device-capabilities.js';

/** Things that a connection can do beyond the base protocol. What both sides list is on. */
export type Feature = 'correlated' | 'topology';

/** What a node says of itself. On the wire: snake_case keys under `"hello"`. */
export interface Hello {
  /** Highest and lowest protocol version spoken. This is version 1. */
  readonly versionMax: number;
  readonly versionMin: number;
  readonly nodeId: string;
  /** Random per start: tells two machines with one id apart. 16 hex digits. */
  readonly instance: string;
  /** Milliseconds since the Unix epoch at start, raised when an old entry of the same id is heard. */
  readonly epoch: number;
  readonly features: readonly string[];
  readonly capabilities: DeviceCapabilities;
  /** The node's own listener, 0 if none: an acceptor may try to dial it later at the address it sees. */
  readonly nodePort: number;
  /** Digest of the sender's topology view (16 hex digits): equal views need no exchange. */
  readonly topologyDigest: string;
  /** Only from the dialling side: how it found this address (the edge's description) and how good that path is. */
  readonly path?: { readonly description: string; readonly priority: number };
  /** On encrypted connections: 32 random bytes of this connection as base64url, which the proofs are bound to. */
  readonly auth?: { readonly nonce: string };
  /** Program and version, for people. */
  readonly agent: string;
}
