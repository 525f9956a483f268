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
  readonly encrypted: boolean;
  /** How it is trusted, in words; null: it is not. */
  readonly trust: string | null;
  readonly rtt_ms: number | null;
  /** Absent from an older node. */
  readonly bytes_per_s?: number | null;
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
  /** Absent from an older node. */
  readonly outsiders?: ReadonlyArray<{ readonly node_id: string; readonly reason: string }>;
}

/** Layers of a node. */
export interface PlanRangeJson {
  readonly node_id: string;
  readonly start_layer: number;
  readonly end_layer: number;
}

/** How fast an answer is. */
export interface PlanFiguresJson {
  readonly tokens_per_s: number;
  readonly first_token_ms: number;
}

/** Where one of the last answers was computed. */
export interface AnswerNoteJson {
  readonly model: string;
  readonly ring: readonly PlanRangeJson[] | null;
  readonly predicted: PlanFiguresJson | null;
  readonly measured: PlanFiguresJson | null;
}

/** GET /v1/plan. */
export interface PlanJson {
  readonly schema_version: number;
  readonly model: string;
  readonly reason: string;
  readonly ring: readonly PlanRangeJson[] | null;
  readonly predicted:
    | (PlanFiguresJson & {
        readonly fetch_ms: number;
        readonly paths_assumed: boolean;
        /** Absent from an older node. */
        readonly fetch_assumed?: boolean;
        readonly load_ms?: number;
        readonly load_assumed?: boolean;
      })
    | null;
  /** Absent from an older node. */
  readonly paths?: ReadonlyArray<{
    readonly from: string;
    readonly to: string;
    readonly rtt_ms: number;
    readonly bytes_per_s: number;
    readonly measured: boolean;
  }>;
  readonly outsiders: ReadonlyArray<{ readonly node_id: string; readonly reason: string }>;
}

/** One `-L` or `-R` of a tunnel. */
export interface ForwardJson {
  readonly kind: 'L' | 'R';
  /** As written. */
  readonly text: string;
  /** The listening end with its real port. */
  readonly listen: string;
  readonly target: string;
  /** `ok`, `closed`, `silent`, `not-exo` or `untested`. */
  readonly verdict: string;
  readonly rtt_ms: number | null;
}

/** One tunnel. */
export interface TunnelJson {
  readonly name: string;
  /** `peers-file` or `command`. */
  readonly source: string;
  readonly peer: string | null;
  readonly destination: string;
  readonly driver: string | null;
  /** `starting`, `gate`, `up`, `degraded`, `backoff`, `failed` or `stopped`. */
  readonly state: string;
  readonly reason: string;
  readonly code: string | null;
  readonly since_at_ms: number;
  readonly up_since_at_ms: number | null;
  readonly restarts: number;
  readonly next_try_ms: number | null;
  readonly bytes_in: number | null;
  readonly bytes_out: number | null;
  readonly rtt_ms: number | null;
  readonly forwards: readonly ForwardJson[];
  readonly pid: number | null;
  readonly cipher: string | null;
  readonly notes: readonly string[];
}

/** One line of the history of a tunnel. */
export interface TunnelEventJson {
  readonly at_ms: number;
  readonly from: string;
  readonly to: string;
  readonly code: string | null;
  readonly reason: string;
}

/** GET /v1/tunnels, POST /v1/tunnels/reload. */
export interface TunnelsJson {
  readonly schema_version: number;
  readonly tunnels: readonly TunnelJson[];
  /** Of the node: what of tunnels only a person can mend, clashes among it. */
  readonly warnings: readonly WarningJson[];
}

/** GET /v1/tunnels/:name, and without the history POST /v1/tunnels (201) and DELETE /v1/tunnels/:name. */
export interface TunnelDetailJson {
  readonly schema_version: number;
  readonly tunnel: TunnelJson;
  /** Newest last. */
  readonly history: readonly TunnelEventJson[];
}

/**
 * Body of POST /v1/tunnels: the words of a `tunnel` in peers.json, and a name (absent: one made from the destination).
 */
export interface TunnelRequestJson {
  readonly name?: string;
  readonly ssh: string;
  readonly forward?: readonly string[];
  readonly reverse?: readonly string[];
  readonly identity?: string | readonly string[];
  readonly knownHosts?: string;
  readonly sshConfig?: string;
  readonly jump?: string;
  readonly driver?: string;
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  readonly probe?: boolean;
}

/** What was turned away since the start. */
export interface ShedJson {
  readonly reason: string;
  readonly count: number;
}

/** A download of a node. */
export interface DownloadJson {
  readonly node_id: string;
  readonly repository: string;
  /** Both included; null: all of the model. */
  readonly layers: readonly [number, number] | null;
  readonly downloaded_bytes: number;
  readonly total_bytes: number;
  readonly percentage: number;
  readonly bytes_per_second: number;
  readonly eta_seconds: number | null;
}

/** GET /v1/status. */
export interface StatusJson extends PeersJson {
  /** Absent from an older node. */
  readonly sheds?: readonly ShedJson[];
  /** Absent from an older node. */
  readonly downloads?: readonly DownloadJson[];
  readonly tunnels: readonly TunnelJson[];
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
  /** Absent from an older node. */
  readonly plans?: readonly AnswerNoteJson[];
  /** Absent from an older node. */
  readonly engine?: { readonly name: string; readonly state: string | null } | null;
  readonly models: ReadonlyArray<{
    /** Absent from an older node. */
    readonly unusable?: string | null;
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

/** Where an answer was computed. */
export interface ChatExoJson {
  /** Null: with an old peer in the ring nobody decides. */
  readonly ring: ReadonlyArray<{ readonly node: string; readonly layers: readonly [number, number] }> | null;
  readonly predicted_tokens_per_s: number | null;
  /** Why there, in words. */
  readonly reason?: string | null;
  /** Nodes that take no layers of the model. */
  readonly outsiders?: ReadonlyArray<{ readonly node: string; readonly reason: string }>;
}

/** One chunk of a streamed answer, or the error that ended it. */
export interface ChatChunkJson {
  readonly model?: string;
  readonly exo?: ChatExoJson;
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
