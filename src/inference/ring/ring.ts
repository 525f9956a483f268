/**
 * The ring: takes prompts, tensors, results, statuses and cancels from the node's router, and lets each request travel
 * first shard → … → last shard → first shard until its answer is finished. The algorithm is the original's; new is that
 * every request ends on every node, and that a failure anywhere reaches the node that serves the client.
 * The computing is in `ring-worker.ts`, how a request ends in `ring-endings.ts`, the client's side in `generations.ts`.
 */
import type {
  CancelRequest,
  JsonObject,
  OpaqueStatus,
  Prompt,
  PromptResponse,
  Result,
  RingPlace,
  Shard,
  TensorRequest,
  TensorResponse,
} from '../../protocol/index.js';
import { randomUuid, type Startable, toExoError } from '../../shared/index.js';
import { progressOf } from '../sampling/index.js';
import { entranceOf, noTakeUp } from './entrance.js';
import { Gateway, hasOldMember, needsGateway } from './gateway.js';
import { ModelLearning } from './model-learning.js';
import { RingEndings } from './ring-endings.js';
import { hopError, over, resultError, ringError } from './ring-errors.js';
import type { LocalPrompt, RingComponents, RingOptions } from './ring-options.js';
import { oldMember, placesOf, toldRing } from './ring-plan.js';
import { type RingClient, RingRequest } from './ring-request.js';
import { RingRequests } from './ring-requests.js';
import { RingStatuses } from './ring-statuses.js';
import { RingWorker } from './ring-worker.js';

/** What begins a request, besides its id and model. */
interface RequestHead {
  readonly origin?: string | undefined;
  readonly inferenceState: JsonObject | null;
  readonly ring?: readonly RingPlace[] | undefined;
  readonly lengthMax?: number | undefined;
}

/** This node's part in all rings. */
export class Ring implements Startable {
  readonly #parts: RingComponents;
  readonly #requests: RingRequests;
  readonly #worker: RingWorker;
  readonly #learning: ModelLearning;
  readonly #endings: RingEndings;
  readonly #stop = new AbortController();
  readonly #statuses: RingStatuses;

  constructor(options: RingOptions, components: RingComponents) {
    this.#parts = components;
    this.#requests = new RingRequests({ idleMs: options.responseTimeoutMs }, components.clock, (request) =>
      this.#endings.fail(
        request,
        ringError('generation-timeout', 'nothing was heard of the request for too long'),
      ),
    );
    this.#learning = new ModelLearning(components);
    this.#endings = new RingEndings(components, this.#requests);
    this.#worker = new RingWorker(options, components, {
      onResult: (request, result) => this.#onOwnResult(request, result),
      onError: (request, error) => this.#endings.fail(request, toExoError(error, 'engine-failed')),
    });
    this.#statuses = new RingStatuses(components, this.#stop.signal);
  }

  /** Requests that this node works on. */
  get size(): number {
    return this.#requests.size;
  }

  async start(): Promise<void> {}

  /** Fails everything that runs, towards its entry node, and waits until no step runs any more. */
  async stop(): Promise<void> {
    const error = ringError('peer-lost', `node ${this.#parts.port.selfId} is stopping; ask again`);
    this.#stop.abort(error);
    const requests = this.#requests.all();
    for (const request of requests) this.#endings.fail(request, error);
    await Promise.all([...requests.map((request) => request.idle), this.#statuses.idle]);
  }

  /**
   * Begins a request of this node's own client. Resolves when the ring has taken the prompt over; what happens later
   * goes to the client. Rejects with `ring-incomplete`, `overloaded`, `peer-lost`, `protocol-violation` (id in use) or
   * what the first member answers.
   */
  async submit(prompt: LocalPrompt): Promise<void> {
    const { requestId, model } = prompt;
    this.#assertFree(requestId);
    const baseShard: Shard = { modelId: model.id, startLayer: 0, endLayer: 0, nLayers: model.layers };
    const { inferenceState, client, lengthMax } = prompt;
    const ring = prompt.ring && placesOf(prompt.ring);
    const start = { origin: this.#parts.port.selfId, inferenceState, ring, lengthMax };
    const request = this.#begin(requestId, baseShard, start, client);
    if (prompt.answered > 0 && hasOldMember(request, this.#parts.port)) {
      const error = noTakeUp();
      this.#endings.drop(request, error);
      throw error;
    }
    const work = this.#process(request, baseShard, prompt.prompt, prompt.tokens);
    if (request.isFirst) {
      work.catch((error) => this.#endings.fail(request, toExoError(error)));
      return;
    }
    try {
      await work;
    } catch (error) {
      this.#endings.drop(request, toExoError(error));
      throw error;
    }
  }

  /** The client's request is over, in whatever way: frees it here and on all members that can be told. Idempotent. */
  end(requestId: string): void {
    this.#endings.end(requestId);
  }

  /** Members of the ring of a request of which nothing is heard here, although they were asked. */
  silentMembers(requestId: string): readonly string[] {
    const { port } = this.#parts;
    const ring = this.#requests.get(requestId)?.ring ?? [];
    return ring.map(({ nodeId }) => nodeId).filter((nodeId) => port.isSilent(nodeId));
  }

  /** 0x10. Resolves when the prompt is taken over. Throws `model-unknown`, `ring-incomplete`, `overloaded`, `protocol-violation`. */
  async onPrompt(message: Prompt, from: string | null, signal: AbortSignal): Promise<PromptResponse> {
    const requestId = message.requestId ?? randomUuid(this.#parts.random);
    try {
      await this.#learning.ofPrompt(message.shard, from, signal);
      signal.throwIfAborted();
      this.#assertFree(requestId);
      // An old client may use an id again.
      if (message.origin !== undefined) this.#assertNotOver(requestId, message.origin);
      const request = this.#begin(requestId, message.shard, message);
      if (from !== null && needsGateway(request, from, this.#parts.port)) this.#standFor(request, from);
      this.#process(request, message.shard, message.prompt, message.tokens).catch((error) =>
        this.#endings.fail(request, toExoError(error)),
      );
    } catch (error) {
      this.#endings.refuse(requestId, from, toExoError(error, 'request-cancelled'));
    }
    return { kind: 'prompt-response' };
  }

  /**
   * 0x12. Resolves when the tensor is taken over, or with what goes back to its sender anyway, so that a hop never waits for the
   * ring behind it; the answer never carries a tensor. Throws `model-unknown`, `ring-incomplete`, `tensor-invalid`, `overloaded` or,
   * late, why it is over.
   */
  async onTensor(message: TensorRequest, from: string | null, signal: AbortSignal): Promise<TensorResponse> {
    const requestId = message.requestId ?? randomUuid(this.#parts.random);
    // A request that is known goes on at once, unless a tensor of it waits for its model: their order is kept.
    const isWaited = this.#learning.holds(requestId) || this.#requests.get(requestId) === undefined;
    const fault = isWaited
      ? await this.#learning.ofTensor(requestId, message.shard, from, signal)
      : undefined;
    const known = this.#requests.get(requestId);
    const answer: TensorResponse = { kind: 'tensor-response', tensor: null };
    let request = known;
    try {
      signal.throwIfAborted();
      if (known === undefined) this.#assertNotOver(requestId, message.origin);
      if (known === undefined && fault?.code === 'model-fetching') throw fault;
      request ??= this.#begin(requestId, message.shard, message);
      request.assertHolds(message.shard);
      // A sender that sees a ring which this node has just joined, or that has not noticed that it began anew. The first member
      // meets a request with its prompt, the others with the first tensor of it.
      const isBegun = request.isFirst ? message.origin === undefined : message.first === true;
      const isOld = from === null || !this.#parts.port.isNew(from);
      if (known === undefined && !isBegun && !(isOld && !request.isFirst))
        throw ringError('ring-incomplete', 'the ring has changed during the answer; ask again');
      request.origin ??= message.origin;
      request.inferenceState = message.inferenceState ?? request.inferenceState;
      const room = this.#worker.tensor(request, message.tensor, from, message.more);
      this.#requests.touch(request);
      await room;
    } catch (error) {
      if (known === undefined && request !== undefined) this.#endings.drop(request);
      this.#endings.refuse(requestId, from, toExoError(error, 'request-cancelled'));
    }
    return answer;
  }

  /** 0x20. Late and foreign results are dropped. */
  onResult(message: Result, from: string | null): void {
    const { requestId, isFinished } = message;
    const request = this.#requests.get(requestId);
    if (request === undefined) {
      // The member that still works on it has not been reached by the cancel, or does not know this node's ring.
      if (!isFinished && from !== null && this.#requests.buried(requestId))
        this.#endings.cancelOn(from, requestId);
      return;
    }
    const { client } = request;
    if (client === undefined) {
      const error = resultError(message);
      // A result for everyone (unknown origin) is how members hear of the end; the origin tells the others itself.
      if (isFinished && request.origin === undefined) this.#endings.drop(request, error);
      // A member that does not reach the origin.
      else if (error !== undefined && from !== null && request.has(from))
        this.#endings.passBack(request, error);
      return;
    }
    const foreign = from !== null && this.#parts.port.isNew(from) && !request.has(from);
    if (foreign) return;
    this.#requests.touch(request);
    client.deliver(message);
  }

  /** 0x40. Statuses of other kinds are left alone. */
  onStatus(message: OpaqueStatus, from: string | null = null): void {
    this.#statuses.onStatus(message, this.#learning.mayFetchFor(from));
  }

  /** 0x5A. Only the entry node may cancel, where it is known. */
  onCancel(message: CancelRequest, from: string): void {
    const { requestId } = message;
    const request = this.#requests.get(requestId);
    // It overtook its prompt or tensor.
    if (request === undefined) this.#requests.bury(requestId, over(requestId));
    else if (request.entry === from) this.end(requestId);
    else if (request.client === undefined && (request.origin ?? from) === from)
      this.#endings.drop(request, over(requestId));
  }

  /** A peer is gone: what cannot go on without it ends. */
  onPeerLost(nodeId: string): void {
    this.#parts.activeNode.clear(nodeId);
    this.#endings.onPeerLost(nodeId);
  }

  #begin(
    requestId: string,
    shard: Shard,
    { origin, inferenceState, ring: told, lengthMax }: RequestHead,
    client?: RingClient,
  ): RingRequest {
    const { engine, port } = this.#parts;
    this.#stop.signal.throwIfAborted();
    const model = engine.models.find(shard.modelId);
    if (shard.nLayers !== model.layers) {
      throw ringError(
        'model-unknown',
        `${model.id} has ${model.layers} layers here and ${shard.nLayers} at the sender`,
      );
    }
    const request = new RingRequest({
      requestId,
      model,
      ring:
        told === undefined ? port.ring(model.id, model.layers) : toldRing(told, model, port.selfId, client),
      isTold: told !== undefined,
      selfId: port.selfId,
      inferenceState,
      origin,
      lengthMax,
      ...(client === undefined ? {} : { client }),
    });
    const hasOld = hasOldMember(request, port);
    if (request.isTold && hasOld) throw oldMember();
    // It makes tokens of the text itself, perhaps one more than are counted here: the client says when it has enough.
    if (hasOld) request.lengthMax = Number.POSITIVE_INFINITY;
    this.#requests.add(request);
    const { next } = request;
    if (next !== undefined && next.nodeId !== port.selfId) engine.models.neighbour?.(next.shard);
    return request;
  }

  /** This node is the gateway: to the ring it is the entry node from now on. */
  #standFor(request: RingRequest, entry: string): void {
    const { requestId } = request;
    const { port } = this.#parts;
    request.entry = entry;
    request.origin = port.selfId;
    const { answered } = progressOf(request.inferenceState);
    request.client = new Gateway({ requestId, entry, answered }, port, () => this.end(requestId));
  }

  /** Computes the prompt, or passes it into the ring. Rejects only when passing it on fails. */
  async #process(
    request: RingRequest,
    baseShard: Shard,
    prompt: string,
    tokens?: readonly number[],
  ): Promise<void> {
    const end = this.#statuses.announce(request, baseShard, prompt);
    try {
      if (request.isFirst) await this.#worker.prompt(request, prompt, tokens);
      else await this.#passOn(request, prompt, tokens);
    } finally {
      end();
    }
  }

  async #passOn(request: RingRequest, prompt: string, tokens: readonly number[] | undefined): Promise<void> {
    const { requestId, inferenceState, origin, signal } = request;
    const { port } = this.#parts;
    const { nodeId, shard } = entranceOf(request, port);
    request.forwarded = true;
    request.entrance = nodeId;
    request.hasGateway = request.place < 0 && !hasOldMember(request, port);
    const message: Prompt = {
      kind: 'prompt',
      shard,
      prompt,
      requestId,
      inferenceState,
      ...(origin === undefined ? {} : { origin }),
      ...(tokens === undefined ? {} : { tokens }),
      ...(request.isTold ? { ring: placesOf(request.ring) } : {}),
    };
    try {
      await port.sendPrompt(nodeId, message, signal);
    } catch (error) {
      throw hopError(nodeId, error);
    }
  }

  #onOwnResult(request: RingRequest, result: Result): void {
    this.#endings.deliver(request, result);
    if (result.isFinished && request.client === undefined) this.#endings.drop(request);
  }

  /** Throws why it ended here a moment ago, or `request-cancelled` when its client was here and is not any more. */
  #assertNotOver(requestId: string, origin: string | undefined): void {
    const reason = this.#requests.buried(requestId);
    if (reason !== undefined) throw reason;
    if (origin === this.#parts.port.selfId) throw over(requestId);
  }

  #assertFree(requestId: string): void {
    const known = this.#requests.get(requestId);
    if (known === undefined) return;
    if (known.forwarded) {
      // It came back: the nodes see different rings, and each takes another for the first. Whoever of them is asked says so.
      const error = ringError('ring-incomplete', 'the nodes do not agree who is first; ask again');
      this.#endings.fail(known, error);
      throw error;
    }
    throw ringError('protocol-violation', `request id ${requestId} is in use; every request needs its own`);
  }
}
