/**
 * What peers say to each other: the bodies of all messages, as types. The codes and bytes are in
 * `message-codec.ts`; docs/PROTOCOL.md is the norm for both.
 */
import type { DeviceCapabilities } from './device-capabilities.js';
import type { BytesRequest, BytesResponse, FilesRequest, FilesResponse } from './file-messages.js';
import type { Hello } from './hello.js';
import type { OfferRequest, OfferResponse } from './offer-messages.js';
import type { Tensor } from './tensor.js';

export { type DeviceCapabilities, type Flops, UNKNOWN_CAPABILITIES } from './device-capabilities.js';

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** A contiguous range of layers of a model; `endLayer` is inclusive. On the wire: model_id, start_layer, end_layer, n_layers. */
export interface Shard {
  readonly modelId: string;
  readonly startLayer: number;
  readonly endLayer: number;
  readonly nLayers: number;
}

/** One place of a ring: which node holds which layers, both included. On the wire: node_id, start_layer, end_layer. */
export interface RingPlace {
  readonly nodeId: string;
  readonly startLayer: number;
  readonly endLayer: number;
}

// ---------------------------------------------------------------- base protocol (0x01 to 0x40)

/** 0x01. An old peer never reads the hello. */
export interface HealthRequest {
  readonly kind: 'health-request';
  readonly hello?: Hello;
}

/** 0x02. `refusal` says why a hello was not accepted; the connection then closes. */
export interface HealthResponse {
  readonly kind: 'health-response';
  readonly isHealthy: boolean;
  readonly hello?: Hello;
  readonly refusal?: { readonly code: string; readonly message: string };
}

/** 0x10. Base: no answer. Correlated: answered by 0x11 when the prompt has been taken over. */
export interface Prompt {
  readonly kind: 'prompt';
  readonly shard: Shard;
  readonly prompt: string;
  readonly requestId: string | null;
  readonly inferenceState: JsonObject | null;
  /** Node id of the node that serves the client. Correlated form only; an old peer never sees it. */
  readonly origin?: string;
  /**
   * The ids that go into the first shard: those of `prompt`, then those of the answer so far. Where they are there, `prompt` is
   * only for people. Correlated form only.
   */
  readonly tokens?: readonly number[];
  /** Who computes which layers, in order, as the entry node has decided. Absent: as the receiver sees it. Correlated form only. */
  readonly ring?: readonly RingPlace[];
}

/** 0x11, correlated only. */
export interface PromptResponse {
  readonly kind: 'prompt-response';
}

/** 0x12, answered by 0x13. */
export interface TensorRequest {
  readonly kind: 'tensor-request';
  readonly shard: Shard;
  readonly tensor: Tensor;
  readonly requestId: string | null;
  readonly inferenceState: JsonObject | null;
  /** As in `Prompt`. */
  readonly origin?: string;
  /** A part of the prompt that is not the last one: computed and passed on, but no token is chosen after it. Correlated form only. */
  readonly more?: true;
  /** The first of its request for this member, which has computed nothing of it yet. Correlated form only. */
  readonly first?: true;
  /** With `first`: as in `Prompt`. */
  readonly ring?: readonly RingPlace[];
}

/** 0x13. Base `00 00 00 00` is `tensor: null`. */
export interface TensorResponse {
  readonly kind: 'tensor-response';
  readonly tensor: Tensor | null;
}

/** Natural logarithms of the probability of a chosen token, and of the likeliest ones, likeliest first. */
export interface ResultLogprobs {
  readonly logprob: number;
  readonly top: ReadonlyArray<readonly [token: number, logprob: number]>;
}

/** 0x20, never answered. `result` holds token ids, usually one. */
export interface Result {
  readonly kind: 'result';
  readonly requestId: string;
  readonly result: readonly number[];
  readonly isFinished: boolean;
  readonly tensor?: Tensor;
  /** Why a generation ended early; not sent to old peers. Correlated form only. */
  readonly error?: { readonly code: string; readonly message: string; readonly retryable?: boolean };
  /** Where they were asked for, one for each token of `result`. Correlated form only. */
  readonly logprobs?: readonly ResultLogprobs[];
  /** Place of the first token of `result` in the answer, from 0, so that a reader can restore the order. Correlated form only. */
  readonly index?: number;
}

/** 0x30. */
export interface TopologyRequest {
  readonly kind: 'topology-request';
  readonly visited: readonly string[];
  readonly maxDepth: number;
}

/** One outgoing edge of the original's graph. */
export interface WireEdge {
  readonly toId: string;
  readonly description: string;
}

/** 0x31: the view of the answering node, in the original's form. */
export interface TopologyResponse {
  readonly kind: 'topology-response';
  readonly nodes: ReadonlyMap<string, DeviceCapabilities>;
  readonly peerGraph: ReadonlyMap<string, readonly WireEdge[]>;
}

/** 0x40, never answered. `status` is JSON in a string, as the original writes it. */
export interface OpaqueStatus {
  readonly kind: 'opaque-status';
  readonly requestId: string;
  readonly status: string;
}

// ---------------------------------------------------------------- ours (0x50 to 0x7F, correlated only)

/** 0x50, answered by 0x51 with the same bytes: round trip and throughput of a path. */
export interface Ping {
  readonly kind: 'ping';
  readonly data: Buffer;
}

/** 0x51. */
export interface Pong {
  readonly kind: 'pong';
  readonly data: Buffer;
}

/** One node as it describes itself. (`epoch`, `version`) orders two entries of one node; the higher one is the newer. */
export interface TopologyEntry {
  readonly id: string;
  /** Which start of the node; rises with every restart. */
  readonly epoch: number;
  /** Which change since that start. */
  readonly version: number;
  readonly capabilities: DeviceCapabilities;
  /** Edges that this node dialled. */
  readonly edges: readonly TopologyEntryEdge[];
  /** Nodes that dialled this node and are gone: their claims of an edge to it no longer hold. */
  readonly lost: readonly { readonly id: string; readonly epoch: number }[];
  /** The node speaks only the base protocol; the sender of the entry speaks for it. */
  readonly legacy?: boolean;
}

/** An edge from the dialling node to `toId`. */
export interface TopologyEntryEdge {
  readonly toId: string;
  readonly description: string;
}

/** 0x52, answered by 0x53 where the sender asks (correlation id ≠ 0): entries that the receiver may not have. */
export interface TopologyUpdate {
  readonly kind: 'topology-update';
  readonly entries: readonly TopologyEntry[];
  /** Ids of those entries that the receiver is asked to pass to all its neighbours; absent: none. */
  readonly spread?: readonly string[];
}

/** 0x53. */
export interface TopologyUpdated {
  readonly kind: 'topology-updated';
}

/** 0x54, answered by 0x55: the sender's versions; the receiver answers with what is newer on its side. */
export interface TopologySync {
  readonly kind: 'topology-sync';
  readonly versions: ReadonlyMap<string, readonly [epoch: number, version: number]>;
}

/** 0x55. `wanted` are ids that the answering node knows older or not at all. */
export interface TopologySynced {
  readonly kind: 'topology-synced';
  readonly entries: readonly TopologyEntry[];
  readonly wanted: readonly string[];
}

/** 0x56, one-way: the sender is about to close this connection, and why. */
export interface Goodbye {
  readonly kind: 'goodbye';
  /** `stopping`: the node leaves. `duplicate`: another connection of this pair stays. */
  readonly reason: 'stopping' | 'duplicate';
}

/** 0x58, one-way: something that the operator of the receiving node should know. */
export interface Notice {
  readonly kind: 'notice';
  readonly code: string;
  readonly message: string;
}

/** 0x5A, one-way: stop working on a request id. */
export interface CancelRequest {
  readonly kind: 'cancel-request';
  readonly requestId: string;
}

/** One way in which the sender can be known: a method and its fields, all text. `trust` knows what they mean. */
export type AuthProof = { readonly method: string; readonly [field: string]: string };

/** 0x5C, answered by 0x5D: what the dialler proves. Encrypted connections only. */
export interface AuthRequest {
  readonly kind: 'auth-request';
  readonly proofs: readonly AuthProof[];
}

/** A mesh key on its way to a trusted node. */
export interface WireKey {
  readonly id: string;
  /** 32 bytes as base64url; a secret. */
  readonly secret: string;
  /** Wall clock, milliseconds. */
  readonly createdAtMs: number;
  readonly untilMs?: number;
}

/** 0x5D: what the acceptor proves, when it has taken the dialler in. */
export interface AuthResponse {
  readonly kind: 'auth-response';
  readonly proofs: readonly AuthProof[];
  /** Mesh keys that the dialler may not have, where it is trusted; it takes them when it trusts the acceptor. */
  readonly keys?: readonly WireKey[];
}

/** 0x5E, answered by 0x5F: mesh keys that the receiver may not have. Trusted peers only. */
export interface KeyUpdate {
  readonly kind: 'key-update';
  readonly keys: readonly WireKey[];
}

/** 0x5F. */
export interface KeyUpdated {
  readonly kind: 'key-updated';
}

/** 0x70, answered by 0x71: the sender hears nothing of a node any more; does the receiver reach it over a connection of its own? */
export interface ProbeRequest {
  readonly kind: 'probe-request';
  readonly nodeId: string;
}

/** 0x71. Not reached also means: no connection to it. */
export interface ProbeResponse {
  readonly kind: 'probe-response';
  readonly reached: boolean;
  /** Of the round trip that was made for this question; null when there was no answer in time. */
  readonly rttMs: number | null;
}

/** 0x7F: the answer of a handler that failed. */
export interface ErrorResponse {
  readonly kind: 'error-response';
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** Every message. */
export type Message =
  | HealthRequest
  | HealthResponse
  | Prompt
  | PromptResponse
  | TensorRequest
  | TensorResponse
  | Result
  | TopologyRequest
  | TopologyResponse
  | OpaqueStatus
  | Ping
  | Pong
  | TopologyUpdate
  | TopologyUpdated
  | TopologySync
  | TopologySynced
  | Goodbye
  | Notice
  | CancelRequest
  | AuthRequest
  | AuthResponse
  | KeyUpdate
  | KeyUpdated
  | ProbeRequest
  | ProbeResponse
  | OfferRequest
  | OfferResponse
  | FilesRequest
  | FilesResponse
  | BytesRequest
  | BytesResponse
  | ErrorResponse;

/** The name of a message. */
export type MessageKind = Message['kind'];
