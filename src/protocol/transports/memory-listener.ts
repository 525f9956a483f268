/** A listener on a host of the in-memory network. */
import { type Address, addressScope, ExoError, isLoopback } from '../../shared/index.js';
import type { MemoryHost, PortOwner } from './memory-host.js';
import { notOurAddress, portInUse } from './tcp-words.js';
import type { ByteStream, Listener } from './transport.js';

/** Listens at a host's own name, at loopback, or at `0.0.0.0` and `::` for all. */
export class MemoryListener implements Listener {
  readonly #host: MemoryHost;
  readonly #wanted: Address;
  readonly #onStream: (stream: ByteStream) => void;
  #owner: PortOwner | undefined;
  #bound: Address | undefined;

  constructor(host: MemoryHost, wanted: Address, onStream: (stream: ByteStream) => void) {
    this.#host = host;
    this.#wanted = wanted;
    this.#onStream = onStream;
  }

  get address(): Address {
    return this.#bound ?? this.#wanted;
  }

  async start(): Promise<void> {
    if (this.#owner !== undefined) return;
    const { host } = this.#wanted;
    const everywhere = host === '' || addressScope(host) === 'unusable';
    if (!everywhere && !isLoopback(host) && host !== this.#host.name) throw notOurAddress(this.#wanted);
    const port = this.#wanted.port === 0 ? this.#host.freePort() : this.#wanted.port;
    if (port === undefined) throw new ExoError('port-in-use', 'no port is left on this machine');
    if (this.#host.ports.has(port)) throw portInUse({ host, port });
    this.#owner = { loopbackOnly: isLoopback(host), backlog: new Set(), onStream: this.#onStream };
    this.#bound = { host, port };
    this.#host.ports.set(port, this.#owner);
  }

  async stop(): Promise<void> {
    const owner = this.#owner;
    if (owner === undefined) return;
    this.#owner = undefined;
    const { port } = this.address;
    // After a power cut the port may belong to the next life's program.
    if (this.#host.ports.get(port) === owner) this.#host.ports.delete(port);
  }
}
