/**
 * What the ring needs from the mesh, and nothing more. `node` implements it over peers and topology, a test in memory.
 * Behind it is hidden that a new peer gets correlated messages (with origin, error and index) and an old one the base
 * form without them.
 */
import type {
  CancelRequest,
  OfferedPath,
  OfferRequest,
  OfferResponse,
  OpaqueStatus,
  Prompt,
  Result,
  Shard,
  TensorRequest,
} from '../../protocol/index.js';

/** One place in the ring. */
export interface RingMember {
  readonly nodeId: string;
  readonly shard: Shard;
}

/** The nodes that are there, as of one moment. */
export interface MeshNow {
  /** This node included, in the order of the original's ring. */
  readonly present: readonly string[];
  /** One of them is an old peer, which computes its ring by itself. */
  readonly hasOldPeer: boolean;
  /** Whether two of them have a connection, by what is heard. */
  isLinked(one: string, two: string): boolean;
}

/** The mesh as the ring sees it. Nothing is ever sent to the node itself. */
export interface RingPort {
  readonly selfId: string;
  /**
   * The ring for a model as this node sees it now and as the original makes it, by memory: members in order, together exactly
   * the layers 0 to `layers` - 1. Nodes in `without` get none, but where an old peer is in the mesh. Throws `ring-incomplete`.
   */
  ring(modelId: string, layers: number, without?: ReadonlySet<string>): readonly RingMember[];
  /** Who is there, at this moment. */
  mesh(): MeshNow;
  /** To the new peers that this node is connected to, as measured. */
  paths(): readonly OfferedPath[];
  /** Has the paths measured of which too little is known; resolves when that is done, which may take seconds. Never rejects. */
  measurePaths(): Promise<void>;
  /** Rejects as `sendPrompt`, with `request-timeout` after `waitMs`, or a little later on a slow path. */
  askOffer(
    nodeId: string,
    message: OfferRequest,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<OfferResponse>;
  /** Whether this is a connected peer that speaks hello, so that it can be sent errors, cancels and results of its own. */
  isNew(nodeId: string): boolean;
  /** Whether this peer has proven that this node trusts it. */
  isTrusted(nodeId: string): boolean;
  /** Whether this is a connected peer, old or new. */
  isConnected(nodeId: string): boolean;
  /** Peers that are known and cannot compute at the moment: not reached, or back and not counted as members yet; with the reason. */
  away(): ReadonlyArray<{ readonly nodeId: string; readonly reason: string }>;
  /** Whether a peer has said nothing for `LIMITS.ringSilentMs`, though it is asked after less. */
  isSilent(nodeId: string): boolean;
  /** Whether nothing has changed in the mesh, as this node sees it, for `LIMITS.ringSteadyMs`, and no peer is being dialled again. */
  isSteady(): boolean;
  /**
   * New peer: resolves when it has taken the prompt over (0x11). Old peer: when it has been written.
   * Rejects with the peer's own code, `peer-unreachable`, `connection-closed`, `request-timeout` (after
   * `LIMITS.ringHopTimeoutMs`) or, when `signal` is aborted, `request-cancelled`.
   */
  sendPrompt(nodeId: string, message: Prompt, signal: AbortSignal): Promise<void>;
  /**
   * Resolves when the peer has taken the tensor over (0x13), of a token up to `ringAnswerMs` later; rejects as `sendPrompt`. The bytes
   * must not change until then.
   */
  sendTensor(nodeId: string, message: TensorRequest, signal: AbortSignal): Promise<void>;
  /** To one peer; lost when it is not connected. */
  sendResult(nodeId: string, message: Result): void;
  /** To all peers. Old ones get it without error and index. */
  broadcastResult(message: Result): void;
  /** To all peers. */
  broadcastStatus(message: OpaqueStatus): void;
  /** To one new peer; nothing happens for an old one, which knows no cancel. */
  sendCancel(nodeId: string, message: CancelRequest): void;
}
