/**
 * What one node knows of one request while it works on it: the ring as it was at the first contact (pinned, so that a
 * node that joins meanwhile does not shift the layers under a KV cache), its place in it, and its steps in order.
 */
import type { JsonObject, Result, Shard } from '../../protocol/index.js';
import { ExoError } from '../../shared/index.js';
import type { ModelEntry } from '../engine-models.js';
import type { RequestSampler } from '../sampling/index.js';
import type { RingMember } from './ring-port.js';
import { StepLine } from './step-line.js';

/** The entry node's side of a request: where its answer goes. */
export interface RingClient {
  deliver(result: Result): void;
  fail(error: ExoError): void;
}

/** What is known of a request when it begins here. */
export interface RingRequestStart {
  readonly requestId: string;
  readonly model: ModelEntry;
  readonly ring: readonly RingMember[];
  /** The entry node has decided on the ring and the members are told; else each sees to it itself. @default false */
  readonly isTold?: boolean;
  readonly selfId: string;
  readonly inferenceState: JsonObject | null;
  /** Unknown when an old peer is the entry node, or passed the request on. */
  readonly origin: string | undefined;
  /** Only on the entry node. */
  readonly client?: RingClient;
  /** As in `LocalPrompt`. */
  readonly lengthMax?: number | undefined;
}

/** State of one request on one node. */
export class RingRequest {
  readonly requestId: string;
  readonly model: ModelEntry;
  readonly ring: readonly RingMember[];
  /** The ring goes with the prompt and the first tensor to each member. */
  readonly isTold: boolean;
  /** This node's place in the ring; -1 when it holds no layer. */
  readonly place: number;
  /** The client here; on a gateway what stands for it. */
  client: RingClient | undefined;
  /** Only on a gateway: the node that serves the client. `origin` is then the gateway itself. */
  entry: string | undefined;
  /** The member that was sent the prompt. */
  entrance: string | undefined;
  /** The entrance is the gateway: the only member whose loss concerns the entry node. */
  hasGateway = false;
  origin: string | undefined;
  inferenceState: JsonObject | null;
  /** Elements of the sequence that have gone through this shard. */
  position = 0;
  /** What would come after so many elements nobody reads. */
  lengthMax: number;
  /** The engine has had this node's shard once; should it have lost it since, a step loads it. */
  isLoaded = false;
  /** Chooses the tokens, or counts those that the engine chose (last shard only). */
  sampler: RequestSampler | undefined;
  /** After which the answer is finished (last shard only, from the first token on). */
  eosTokenIds: ReadonlySet<number> | undefined;
  /** Members that have been sent the inference state; they keep it. */
  readonly told = new Set<string>();
  /** The prompt was passed on to the first member. */
  forwarded = false;
  /** `clock.now()` of the last sign of life. */
  activeAtMs = 0;
  /** How long the last step of one token took, in ms. */
  stepMs = Number.POSITIVE_INFINITY;
  /** Its steps, in order. */
  readonly line: StepLine;
  readonly #abort = new AbortController();

  constructor(start: RingRequestStart) {
    this.requestId = start.requestId;
    this.model = start.model;
    this.ring = start.ring;
    this.isTold = start.isTold ?? false;
    this.place = start.ring.findIndex((member) => member.nodeId === start.selfId);
    this.client = start.client;
    this.origin = start.origin;
    this.inferenceState = start.inferenceState;
    this.lengthMax = start.lengthMax ?? Number.POSITIVE_INFINITY;
    this.line = new StepLine(start.requestId, this.#abort.signal);
  }

  /** Aborted when the request has ended here. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get ended(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Resolves when no step runs any more. */
  get idle(): Promise<void> {
    return this.line.idle;
  }

  get isFirst(): boolean {
    return this.place === 0;
  }

  get isLast(): boolean {
    return this.place === this.ring.length - 1;
  }

  /** The member that gets what is computed here; undefined where no layer is held. */
  get next(): RingMember | undefined {
    return this.place < 0 ? undefined : this.ring[(this.place + 1) % this.ring.length];
  }

  /** This node's member of the ring. Throws `ring-incomplete` when it holds no layer. */
  own(): RingMember {
    const member = this.ring[this.place];
    if (member !== undefined) return member;
    throw new ExoError('ring-incomplete', `this node holds no layer of ${this.model.id}`, {
      retryable: true,
    });
  }

  /** Throws `ring-incomplete` when these are not the layers that this node holds: the sender sees another ring. */
  assertHolds(shard: Shard): void {
    const own = this.own().shard;
    if (own.startLayer === shard.startLayer && own.endLayer === shard.endLayer) return;
    throw new ExoError(
      'ring-incomplete',
      `this node holds layers ${own.startLayer}-${own.endLayer} of ${own.modelId}, not ${shard.startLayer}-${shard.endLayer}: the ring has changed; ask again`,
      { retryable: true },
    );
  }

  /** Whether the request can't go on here without this node. Who serves the client looks after the whole ring. */
  needs(nodeId: string): boolean {
    if (this.client === undefined) return this.#isNeighbour(nodeId);
    return this.hasGateway ? this.entrance === nodeId : this.has(nodeId);
  }

  #isNeighbour(nodeId: string): boolean {
    return this.place < 0 ? this.entrance === nodeId : this.neighbours.includes(nodeId);
  }

  /** The members before and after this one; it is its own in a ring of one. Empty when it holds no layer. */
  get neighbours(): readonly string[] {
    const count = this.ring.length;
    if (this.place < 0) return [];
    const beside = [(this.place + count - 1) % count, (this.place + 1) % count];
    return [...new Set(beside.map((place) => this.ring[place]!.nodeId))];
  }

  has(nodeId: string): boolean {
    return this.ring.some((member) => member.nodeId === nodeId);
  }

  /** Stops what runs and drops what waits. Idempotent. */
  abort(reason: ExoError): void {
    this.#abort.abort(reason);
  }
}
