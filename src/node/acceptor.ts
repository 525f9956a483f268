/**
 * The node's listener: binds, and lets in at most so many connections that have not said hello yet, in all and
 * per source. It knows nothing of what is said.
 */
import type { ByteStream, Listener, Transport } from '../protocol/index.js';
import { type Address, ExoError, isLoopback, LIMITS, type Logger, type Startable } from '../shared/index.js';

/** What the acceptor needs. `welcome` returns a function that tells whether the connection still is a stranger. */
export interface AcceptorComponents {
  readonly transport: Transport;
  readonly logger: Logger;
  welcome(stream: ByteStream): { readonly isStranger: () => boolean; readonly closed: Promise<unknown> };
}

/** Loopback is one source with many tunnels behind it. */
const LOOPBACK_SHARE = 4;

/** Accepts connections on one address. */
export class Acceptor implements Startable {
  readonly #c: AcceptorComponents;
  readonly #listener: Listener;
  readonly #asked: Address;
  readonly #open = new Map<{ isStranger: () => boolean }, string>();

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
      throw error;
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
    if (
      this.#open.size >= LIMITS.acceptedConnections ||
      strangers >= LIMITS.pendingHandshakes ||
      fromHere >= perSource
    ) {
      this.#c.logger.debug('connection-shed', { from: stream.remote, strangers, fromHere });
      stream.destroy();
      return;
    }
    const entry = this.#c.welcome(stream);
    this.#open.set(entry, host);
    void entry.closed.then(() => this.#open.delete(entry));
  }
}
