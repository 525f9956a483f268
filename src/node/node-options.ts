/** What a node is made of: plain options, and the parts of the world that a test or the simulator replaces. */
import type { Discovery, DiscoveryComponents, DiscoveryOptions } from '../discovery/index.js';
import type { Downloads, InferenceEngine, Placement } from '../inference/index.js';
import type { Transport } from '../protocol/index.js';
import type { Clock, Logger, Random } from '../shared/index.js';
import type { CapabilityProbe } from '../topology/index.js';
import type { createTunnels, TunnelsOptions } from '../tunnels/index.js';
import type { NodeTrust } from './admission.js';

/** Everything that distinguishes one node from another. Plain data. */
export interface NodeOptions {
  readonly nodeId: string;
  /** 16 hex digits, new with every start. */
  readonly instance: string;
  /** Milliseconds since the Unix epoch at start. */
  readonly epoch: number;
  /** Version of this program, for people. */
  readonly version: string;
  readonly nodeHost: string;
  readonly nodePort: number;
  readonly discovery: DiscoveryOptions;
  /** Absent: this node opens no tunnels. */
  readonly tunnels?: TunnelsOptions;
  /** Port of the HTTP API beside this node, which no forward may take. */
  readonly apiPort?: number;
  /** `--inference-engine`. */
  readonly engine: string;
  readonly defaultModel?: string;
  readonly systemPrompt?: string;
  readonly responseTimeoutMs: number;
  readonly maxGenerateTokens: number;
  readonly defaultTemperature: number;
  /** False, for tests: an answer that has begun ends when its ring breaks. @default true */
  readonly recovery?: boolean;
  /** `--max-context`. @default what the model was made for */
  readonly contextTokensMax?: number;
  /** Where answers are computed whose request does not say it. @default auto */
  readonly placement?: Placement;
}

/** Parts of the world that a test or the simulator replaces. */
export interface NodeComponents {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
  readonly transport?: Transport;
  /** Who this node is by its key, and whom it trusts. Absent: no keys, everybody is a member. The transport must do TLS then. */
  readonly trust?: NodeTrust;
  /** @default createDiscovery */
  readonly discover?: (options: DiscoveryOptions, components: DiscoveryComponents) => Discovery;
  /** @default what systeminformation says of this machine */
  readonly capabilities?: CapabilityProbe;
  /** @default createEngine(options.engine) */
  readonly inferenceEngine?: InferenceEngine;
  /** The files of that engine's models. Absent: it has none. */
  readonly downloads?: Downloads;
  /** @default createTunnels */
  readonly tunnels?: typeof createTunnels;
}
