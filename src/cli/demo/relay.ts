/**
 * A TCP relay on loopback: whoever connects here talks to the target. It plays the `-L` of an ssh tunnel in the demo,
 * half-closes included; like ssh it accepts even when the target is down, and then closes.
 */
import net from 'node:net';
import { type Address, ExoError, formatAddress, type Startable } from '../../shared/index.js';

/** From where to where. */
export interface RelayOptions {
  readonly listen: Address;
  readonly target: Address;
}

/** One relay. */
export class Relay implements Startable {
  readonly #options: RelayOptions;
  readonly #sockets = new Set<net.Socket>();
  #server: net.Server | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** The bound address, with a real port; valid after start. */
  get address(): Address {
    const bound = this.#server?.address() as net.AddressInfo | null | undefined;
    return { host: this.#options.listen.host, port: bound?.port ?? this.#options.listen.port };
  }

  /** Rejects with `port-in-use`. */
  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = net.createServer({ allowHalfOpen: true }, (near) => this.#join(near));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new ExoError('port-in-use', `${formatAddress(this.#options.listen)}: ${error.message}`, {
            cause: error,
          }),
        ),
      );
      server.listen(this.#options.listen, resolve);
    });
    this.#server = server;
  }

  /** Cuts all connections. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(near: net.Socket): void {
    const far = net.connect({ ...this.#options.target, allowHalfOpen: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (socket.errored) other.destroy();
      });
    }
  }
}
