/**
 * Brings each message to the part that answers it. Knows what may be asked, not how it is done.
 */
import type { Downloads, Ring, RingPlanner } from '../inference/index.js';
import type { Connection, ConnectionHandlers, Message } from '../protocol/index.js';
import { ExoError, type Logger } from '../shared/index.js';
import type { Gossip } from './gossip.js';
import { answerFiles } from './peer-files.js';
import type { SecondOpinion } from './second-opinion.js';

/** Where messages go. */
export interface RouterComponents {
  readonly gossip: Gossip;
  readonly ring: Ring;
  readonly planner: RingPlanner;
  readonly opinion: SecondOpinion;
  /** Absent: this node has no files of models. */
  readonly downloads: Downloads | undefined;
  readonly logger: Logger;
  /** The other side tells its operator's colleague something. */
  onNotice(connection: Connection, code: string, message: string): void;
  /** The other side takes this connection out of use. */
  onLeave(connection: Connection): void;
}

type Context = Parameters<ConnectionHandlers['onMessage']>[2];

/** The table of what a peer may say to this node. */
export class Router {
  readonly #c: RouterComponents;

  constructor(components: RouterComponents) {
    this.#c = components;
  }

  /** Answers a request, or takes a one-way message. Throws an `ExoError` that becomes the error answer. */
  route(
    connection: Connection,
    message: Message,
    { signal }: Context,
  ): Promise<Message | undefined> | Message | undefined {
    const { gossip, ring } = this.#c;
    const from = connection.hello?.nodeId ?? null;
    switch (message.kind) {
      case 'prompt':
        return ring.onPrompt(message, from, signal);
      case 'tensor-request':
        return ring.onTensor(message, from, signal);
      case 'result':
        ring.onResult(message, from);
        return undefined;
      case 'opaque-status':
        ring.onStatus(message, from);
        this.#c.downloads?.onStatus(message, from);
        return undefined;
      case 'cancel-request':
        if (from !== null) ring.onCancel(message, from);
        return undefined;
      case 'topology-request':
        return gossip.wireView();
      case 'topology-update':
        return gossip.onUpdate(from, message);
      case 'topology-sync':
        return gossip.onSync(from, message);
      case 'probe-request':
        return this.#c.opinion.answer(message.nodeId);
      case 'offer-request':
        return this.#c.planner.onOffer(message, from, signal);
      case 'files-request':
      case 'bytes-request':
        return answerFiles(this.#c.downloads, connection, message, signal);
      case 'notice':
        this.#c.onNotice(connection, message.code, message.message);
        return undefined;
      case 'goodbye':
        // The connection has noted it, and its end will carry the reason.
        if (message.reason === 'duplicate') this.#c.onLeave(connection);
        return undefined;
      default:
        throw new ExoError('request-unsupported', `a node does not answer ${message.kind}`);
    }
  }
}
