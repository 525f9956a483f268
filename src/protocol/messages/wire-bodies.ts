/**
 * JSON on the wire by its fields, as `message-schemas.ts` has checked it and `wire-shapes.ts` turns it into what the program uses.
 * Types only.
 */

/** Capabilities on the wire. */
export interface CapabilitiesBody {
  readonly model: string;
  readonly chip: string;
  readonly memory: number;
  readonly flops?: {
    readonly fp32?: number | null;
    readonly fp16?: number | null;
    readonly int8?: number | null;
  };
}

/** A shard on the wire. */
export interface ShardBody {
  readonly model_id: string;
  readonly start_layer: number;
  readonly end_layer: number;
  readonly n_layers: number;
}

/** A place of a ring on the wire. */
export interface RingPlaceBody {
  readonly node_id: string;
  readonly start_layer: number;
  readonly end_layer: number;
}

/** Shape and element type on the wire. */
export interface TensorBody {
  readonly shape: number[];
  readonly dtype: string;
}

/** A hello on the wire. */
export interface HelloBody {
  readonly version_max: number;
  readonly version_min: number;
  readonly node_id: string;
  readonly instance: string;
  readonly epoch?: number;
  readonly features?: string[];
  readonly capabilities?: CapabilitiesBody;
  readonly node_port?: number;
  readonly topology_digest?: string;
  readonly auth?: { readonly nonce: string };
  readonly path?: { readonly description: string; readonly priority: number };
  readonly agent?: string;
}

/** A file of a model on the wire; the hash with its kind in front. */
export interface ModelFileBody {
  readonly path: string;
  readonly size: number;
  readonly hash: string;
  readonly present: Array<[from: number, to: number]>;
  readonly claimed: Array<[from: number, to: number]>;
}

/** A topology entry on the wire. */
export interface EntryBody {
  readonly id: string;
  readonly epoch: number;
  readonly version: number;
  readonly capabilities: CapabilitiesBody;
  readonly edges: Array<{ readonly to_id: string; readonly description: string }>;
  readonly lost?: Array<{ readonly id: string; readonly epoch: number }>;
  readonly legacy?: boolean;
}

/** An offer on the wire. */
export interface OfferBody {
  readonly engine: string;
  readonly reason?: string;
  readonly memory_bytes?: number | null;
  readonly bytes_per_s?: number | null;
  readonly multiply_adds_per_s?: number | null;
  readonly layers?: ReadonlyArray<
    readonly [weightBytes: number | null, multiplyAdds: number | null, cacheBytes: number | null]
  >;
  readonly stored?: ReadonlyArray<readonly [from: number, to: number]>;
  readonly fetch_bytes_per_s?: number | null;
  readonly peer_fetch_bytes_per_s?: number | null;
  readonly load_bytes_per_s?: number | null;
  readonly step_ms?: number | null;
  readonly paths?: ReadonlyArray<readonly [nodeId: string, rttMs: number | null, bytesPerS: number | null]>;
}

/** A mesh key on the wire. */
export interface KeyBody {
  readonly id: string;
  readonly secret: string;
  readonly created_ms: number;
  readonly until_ms?: number;
}
