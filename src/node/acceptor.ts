/**
 * The node's listener: binds, and lets in at most so many connections that have not said hello yet, in all and
 * per source. It knows nothing of what is said.
 */
import type { ByteStream, Listener, Transport } from '../protocol/index.js';
import {
  type Address,
  ExoError,
  isLoopback,
  LIMITS,
  type Logger,
  type Startable,
  toExoError,
} from '../shared/index.js';

/** An accepted connection, as far as the door is concerned. */
export interface Visitor {
  /** It has not said hello, nor spoken as an old peer. */
  isStranger(): boolean;
  /** It has not said a byte. */
  isSilent(): boolean;
  /** Shows it out. */
  dismiss(): void;
  readonly closed: Promise<unknown>;
}

/** What the acceptor needs. */
export interface AcceptorComponents {
  readonly transport: Transport;
  readonly logger: Logger;
  welcome(stream: ByteStream): Visitor;
}

/** Loopback is one source with many tunnels behind it. */
const LOOPBACK_SHARE = 4;

/** Accepts connections on one address. */
export class Acceptor implements Startable {
  readonly #c: AcceptorComponents;
  readonly #listener: Listener;
  readonly #asked: Address;
  /** In the order in which they came, with the host they came from. */
  readonly #open = new Map<Visitor, string>();

  constructor(address: Address, components: AcceptorComponents) {
    this.#c = components;
    this.#asked = address;
    this.#listener = components.transport.listen(address, (stream) => this.#accept(stream));
  }

  /** The bound address, after start. */
  get address(): Address {
    return this.#listener.address;
  }

  async start(): Promise<void> {
    try {
      await this.#listener.start();
    } catch (error) {
      if (error instanceof ExoError && error.code === 'port-in-use') {
        throw new ExoError(
          'port-in-use',
          `--node-port ${this.#asked.port} is taken by another program; end that program or choose another --node-port`,
          { cause: error },
        );
      }
      // The cause is the system's own error, where there is one: a port that this user may not have, or the host.
      const denied = /^(EACCES|EPERM)$/.test(
        String((error as { cause?: NodeJS.ErrnoException }).cause?.code),
      );
      const option = denied ? `--node-port ${this.#asked.port}` : `--node-host ${this.#asked.host}`;
      const { code, message } = toExoError(error);
      throw new ExoError(code, `${option}: ${message}`, { cause: error });
    }
  }

  async stop(): Promise<void> {
    await this.#listener.stop();
  }

  #accept(stream: ByteStream): void {
    const host = stream.remoteHost;
    let strangers = 0;
    let fromHere = 0;
    if (this.#open.size >= LIMITS.pendingHandshakesPerSource) {
      for (const [entry, source] of this.#open) {
        if (!entry.isStranger()) continue;
        strangers += 1;
        if (source === host) fromHere += 1;
      }
    }
    const perSource = LIMITS.pendingHandshakesPerSource * (isLoopback(host) ? LOOPBACK_SHARE : 1);
    const crowdedByHost = fromHere >= perSource;
    const isFull = strangers >= LIMITS.pendingHandshakes || this.#open.size >= LIMITS.acceptedConnections;
    if (crowdedByHost || isFull) {
      // Whoever holds a place without a word makes room for one who may have something to say.
      const makesRoom = this.#oldestSilent(crowdedByHost ? host : undefined);
      this.#c.logger.debug('connection-shed', {
        from: stream.remote,
        strangers,
        fromHere,
        makesRoom: !!makesRoom,
      });
      if (makesRoom === undefined) {
        stream.destroy();
        return;
      }
      this.#open.delete(makesRoom);
      makesRoom.dismiss();
    }
    const entry = this.#c.welcome(stream);
    this.#open.set(entry, host);
    void entry.closed.then(() => this.#open.delete(entry));
  }
  #oldestSilent(host: string | undefined): Visitor | undefined {
    for (const [visitor, source] of this.#open) {
      if (visitor.isSilent() && (host === undefined || source === host)) return visitor;
    }
    return undefined;
  }
}
