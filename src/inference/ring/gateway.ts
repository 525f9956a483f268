/**
 * The gateway of a request: a node that was given the prompt by an entry node outside the ring, to which the other
 * members may have no connection. For the ring it is the entry node; what comes back it passes on to the real one.
 * Not who chooses the gateway (`entrance.ts`). Called by `ring.ts`.
 */
import type { Result } from '../../protocol/index.js';
import { type ExoError, toExoError } from '../../shared/index.js';
import { ResultOrder } from './result-order.js';
import { failedResult } from './ring-errors.js';
import type { RingPort } from './ring-port.js';
import type { RingClient, RingRequest } from './ring-request.js';

/** Takes the results of the ring in the place of a client, and ends once. */
export class Gateway implements RingClient {
  /** The node that serves the client. */
  readonly entry: string;
  readonly #requestId: string;
  readonly #port: Pick<RingPort, 'sendResult'>;
  readonly #onEnd: () => void;
  /** A last token must not end it before one that is still on its way. */
  readonly #order: ResultOrder;
  #ended = false;

  /** `onEnd` is called once, when the entry node has been sent the last result. */
  constructor(
    request: { readonly requestId: string; readonly entry: string; readonly answered: number },
    port: Pick<RingPort, 'sendResult'>,
    onEnd: () => void,
  ) {
    this.entry = request.entry;
    this.#requestId = request.requestId;
    this.#port = port;
    this.#order = new ResultOrder(request.answered);
    this.#onEnd = onEnd;
  }

  deliver(result: Result): void {
    try {
      for (const next of this.#order.accept(result)) this.#pass(next);
    } catch (error) {
      this.fail(toExoError(error));
    }
  }

  fail(error: ExoError): void {
    this.#pass(failedResult(this.#requestId, error));
  }

  #pass(result: Result): void {
    if (this.#ended) return;
    this.#port.sendResult(this.entry, result);
    if (!result.isFinished && result.error === undefined) return;
    this.#ended = true;
    this.#onEnd();
  }
}

/**
 * Whether the receiver of a prompt becomes its gateway: it has it from the entry node itself, which is outside the ring.
 * Not with an old peer in the ring, which sends its results to everyone.
 */
export function needsGateway(request: RingRequest, from: string, port: RingPort): boolean {
  const isOutsider = request.origin === from && port.isNew(from) && !request.has(from);
  return isOutsider && !hasOldMember(request, port);
}

/** Whether a member that this node is connected to is an old peer. */
export function hasOldMember({ ring }: RingRequest, port: RingPort): boolean {
  return ring.some(({ nodeId }) => port.isConnected(nodeId) && !port.isNew(nodeId));
}
