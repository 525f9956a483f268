/** The JSON of the API as the commands read it. The API writes it (`api/mesh-json.ts`); unknown fields are kept. */

/** Capabilities of a machine. */
export interface CapabilitiesJson {
  readonly model: string;
  readonly chip: string;
  /** MB. */
  readonly memory: number;
  readonly flops: { readonly fp32: number; readonly fp16: number; readonly int8: number };
}

/** One peer. */
export interface PeerJson {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly state: string;
  readonly reason: string;
  readonly protocol: string;
  readonly address: string;
  readonly direction: string;
  readonly description: string;
  readonly rtt_ms: number | null;
  readonly silent_ms: number | null;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly capabilities: CapabilitiesJson;
  readonly next_dial_ms: number | null;
}

/** Something heard and not used. */
export interface RefusalJson {
  readonly module: string;
  readonly subject: string;
  readonly code: string;
  readonly reason: string;
  readonly at_ms: number;
}

/** What only a person can mend. */
export interface WarningJson {
  readonly code: string;
  readonly message: string;
  readonly at_ms: number;
}

/** GET /v1/peers. */
export interface PeersJson {
  readonly schema_version: number;
  readonly peers: readonly PeerJson[];
  readonly refusals: readonly RefusalJson[];
  /** Working addresses of peers that are reached over another one. */
  readonly spare_addresses: readonly RefusalJson[];
  readonly warnings: readonly WarningJson[];
}

/** GET /v1/topology. */
export interface TopologyJson {
  readonly nodes: Readonly<Record<string, CapabilitiesJson>>;
  readonly peer_graph: Readonly<
    Record<
      string,
      ReadonlyArray<{ readonly from_id: string; readonly to_id: string; readonly description: string }>
    >
  >;
  readonly active_node_id: string | null;
  readonly self_id: string;
  readonly legacy_ids: readonly string[];
  readonly digest: string;
  readonly partitions: ReadonlyArray<{
    readonly node_id: string;
    readonly start: number;
    readonly end: number;
  }>;
}

/** GET /v1/status. */
export interface StatusJson extends PeersJson {
  readonly version: string;
  readonly uptime_ms: number;
  readonly self: {
    readonly id: string;
    readonly instance: string;
    readonly node_host: string;
    readonly node_port: number;
    readonly started_at_ms: number;
    readonly capabilities: CapabilitiesJson;
    readonly discovery: ReadonlyArray<{ readonly module: string; readonly state: string }>;
  };
  readonly topology: TopologyJson;
  readonly models: ReadonlyArray<{
    readonly id: string;
    readonly name: string;
    readonly ready: boolean;
    readonly n_layers: number | null;
  }>;
}

/** POST /v1/ping. */
export interface PingJson {
  readonly schema_version: number;
  readonly id: string;
  readonly rtt_ms: number;
  readonly address: string;
  readonly direction: string;
}

/** One chunk of a streamed answer, or the error that ended it. */
export interface ChatChunkJson {
  readonly choices?: ReadonlyArray<{
    readonly delta?: { readonly content?: string };
    readonly finish_reason?: string | null;
  }>;
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly total_tokens: number;
  };
  readonly error?: { readonly message: string; readonly code: string };
}
