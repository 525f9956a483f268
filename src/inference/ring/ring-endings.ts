/**
 * How requests end on a node: what is told to whom (the client, the node that serves it, the other members, an old sender) when
 * one fails, is refused, is over, or has lost a node that it needs. Not when that is the case: `ring.ts` and the
 * worker say so.
 */
import type { Result } from '../../protocol/index.js';
import { type ExoError, LIMITS, printable, TokenBucket } from '../../shared/index.js';
import { failedResult, hopError, over, ringError } from './ring-errors.js';
import type { RingComponents } from './ring-options.js';
import type { RingRequest } from './ring-request.js';
import type { RingRequests } from './ring-requests.js';

/** The ends of all requests of one node. */
export class RingEndings {
  readonly #parts: RingComponents;
  readonly #requests: RingRequests;
  readonly #refusals: TokenBucket;

  constructor(components: RingComponents, requests: RingRequests) {
    this.#parts = components;
    this.#requests = requests;
    const rate = LIMITS.ringRefusalsPerSecond;
    this.#refusals = new TokenBucket(rate, rate, components.clock.now());
  }

  /** To the client here, to the new peer that serves it, or (not known which that is) to everyone. */
  deliver(request: RingRequest, result: Result): void {
    const { port } = this.#parts;
    const { origin, client } = request;
    if (client !== undefined) client.deliver(result);
    else if (origin !== undefined && port.isNew(origin)) port.sendResult(origin, result);
    else port.broadcastResult(result);
  }

  /** It cannot go on: whoever serves the client hears why. */
  fail(request: RingRequest, error: ExoError): void {
    if (request.ended) return;
    const { client, requestId } = request;
    // Cancelled further on: the entry node knows.
    const isTold = error.code === 'request-cancelled' && client === undefined;
    // An own client may try again, and then nothing has failed: it says so itself.
    const level = client === undefined ? 'warn' : 'debug';
    if (!isTold) this.#parts.log[level]('ring-failed', { requestId, error });
    if (client !== undefined) client.fail(error);
    else if (!isTold) this.deliver(request, failedResult(requestId, error));
    this.drop(request, error);
  }

  /** Answers a sender whose work is not taken over. An old one can't be told, so everyone is. */
  refuse(requestId: string, from: string | null, error: ExoError): never {
    const { port, log, clock } = this.#parts;
    log.debug('work-refused', { requestId, from, error });
    const isOld = from === null || !port.isNew(from);
    const isKnown = error.code === 'protocol-violation' || error.code === 'request-cancelled';
    if (isOld && !isKnown) {
      const request = this.#requests.get(requestId);
      if (request !== undefined) this.fail(request, error);
      else if (this.#refusals.take(clock.now())) port.broadcastResult(failedResult(requestId, error));
    }
    throw error;
  }

  /** The client's request is over, in whatever way: frees it here and on all members that can be told. Idempotent. */
  end(requestId: string): void {
    const request = this.#requests.get(requestId);
    if (request === undefined) return;
    this.drop(request, over(requestId));
    for (const { nodeId } of request.ring) this.cancelOn(nodeId, requestId);
  }

  /**
   * It ends here, and whoever serves the client is told by the members beside this one where it is not reached from here. Each member
   * does so once for a request, and the ring stops wherever its work is.
   */
  passBack(request: RingRequest, error: ExoError): void {
    if (request.ended) return;
    const { port } = this.#parts;
    const { requestId, origin, neighbours } = request;
    this.drop(request, error);
    const result = failedResult(requestId, error);
    const isReached = origin !== undefined && port.isNew(origin);
    for (const nodeId of isReached ? [origin] : neighbours)
      if (nodeId !== port.selfId && port.isNew(nodeId)) port.sendResult(nodeId, result);
  }

  /** A peer is gone. The entry node fails its generations at once; who worked beside it, or for it, tells the entry node. */
  onPeerLost(nodeId: string): void {
    for (const request of this.#requests.all()) {
      if (request.entry === nodeId) this.end(request.requestId);
      else if (request.origin === nodeId) this.passBack(request, this.#lostOrigin(nodeId));
      else if (request.needs(nodeId))
        this.fail(request, hopError(nodeId, ringError('connection-closed', 'its connection is lost')));
    }
  }

  /** Frees it. With a reason it is buried: what still comes for it is refused. */
  drop(request: RingRequest, reason?: ExoError): void {
    const { requestId } = request;
    if (request.ended) return;
    this.#requests.remove(requestId);
    if (reason !== undefined) this.#requests.bury(requestId, reason);
    request.abort(reason ?? over(requestId));
    this.#parts.engine.release(requestId);
  }

  /** Perhaps it is gone, and nobody is left to read this. */
  #lostOrigin(origin: string): ExoError {
    const { selfId } = this.#parts.port;
    return ringError(
      'peer-lost',
      `node ${selfId} has lost its connection with ${printable(origin, 60)}, which it worked for; ask again`,
    );
  }

  /** Asks a member to give it up. */
  cancelOn(nodeId: string, requestId: string): void {
    const { port } = this.#parts;
    if (nodeId !== port.selfId && port.isNew(nodeId))
      port.sendCancel(nodeId, { kind: 'cancel-request', requestId });
  }
}
