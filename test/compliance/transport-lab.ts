/** What the transport suite works with in one test: a network, and everything that was opened on it. */
import type { ByteStream, Listener, Transport } from '../../src/protocol/index.js';
import type { Address } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { StreamEnd } from './stream-end.js';

/** Two machines, or one that plays both. */
export interface TestNetwork {
  readonly client: Transport;
  readonly server: Transport;
  /** Where the server may listen; port 0. */
  readonly listenAt: Address;
  /** The address at which the client reaches a port of the server. */
  reach(port: number): Address;
  /** An address that never answers. */
  silentAddress(): Promise<Address>;
  stop(): Promise<void>;
}

/** A dial that is expected to succeed or fail at once. */
export const DIAL = { timeoutMs: inTime(5_000) };

/** Opened before and closed after each test. */
export class TransportLab {
  #network: TestNetwork | undefined;
  #listeners: Listener[] = [];
  #ends: StreamEnd[] = [];

  get network(): TestNetwork {
    return this.#network!;
  }

  open(network: TestNetwork): void {
    this.#network = network;
    this.#listeners = [];
    this.#ends = [];
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end.stream.destroy();
    await Promise.all(this.#ends.map((end) => end.closed));
    await Promise.all(this.#listeners.map((listener) => listener.stop()));
    await this.network.stop();
  }

  /** Stops the listener after the test. */
  keep(listener: Listener): void {
    this.#listeners.push(listener);
  }

  async listen(onEnd: (end: StreamEnd) => void): Promise<Listener> {
    const listener = this.network.server.listen(this.network.listenAt, (stream) => onEnd(this.#hold(stream)));
    this.keep(listener);
    await listener.start();
    return listener;
  }

  async dial(port: number): Promise<StreamEnd> {
    return this.#hold(await this.network.client.dial(this.network.reach(port), DIAL));
  }

  /** A connection: the dialling end, the accepted end and the listener between them. */
  async pair(): Promise<{ near: StreamEnd; far: StreamEnd; listener: Listener }> {
    let accepted: (end: StreamEnd) => void = () => undefined;
    const far = new Promise<StreamEnd>((resolve) => {
      accepted = resolve;
    });
    const listener = await this.listen((end) => accepted(end));
    return { near: await this.dial(listener.address.port), far: await far, listener };
  }

  #hold(stream: ByteStream): StreamEnd {
    const end = new StreamEnd(stream);
    this.#ends.push(end);
    return end;
  }
}
