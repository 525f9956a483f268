/**
 * The node's listener: binds, and turns away what is too much before a word is said: too many connections, too many new ones
 * of one source, too many that have not said hello. It knows nothing of what is said.
 */
import type { ByteStream, Listener, Transport } from '../protocol/index.js';
import {
  type Address,
  type Clock,
  ExoError,
  isLoopback,
  LIMITS,
  type Logger,
  type ShedReason,
  type Sheds,
  SourceLimiter,
  type Startable,
  type TimerHandle,
  toExoError,
} from '../shared/index.js';
import { type Eviction, type Visitor, WaitingRoom } from './waiting-room.js';

export type { Visitor } from './waiting-room.js';

/** What the acceptor needs. */
export interface AcceptorComponents {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly logger: Logger;
  readonly sheds: Sheds;
  welcome(stream: ByteStream): Visitor;
}

/** Behind loopback stand all tunnels and every program of this machine. */
const LOOPBACK_RATE = 64;
const SWEEP_MS = 500;
/** With those who are on their way out. */
const OPEN_MAX = LIMITS.acceptedConnections + LIMITS.pendingHandshakes;

/** Accepts connections on one address. */
export class Acceptor implements Startable {
  readonly #c: AcceptorComponents;
  readonly #listener: Listener;
  readonly #asked: Address;
  readonly #strangers = new WaitingRoom();
  readonly #rates = limiter(1);
  readonly #localRates = limiter(LOOPBACK_RATE);
  #open = 0;
  #sweeper: TimerHandle | undefined;

  constructor(address: Address, components: AcceptorComponents) {
    this.#c = components;
    this.#asked = address;
    this.#listener = components.transport.listen(address, (stream) => this.#accept(stream));
  }

  /** The bound address, after start. */
  get address(): Address {
    return this.#listener.address;
  }

  /** Accepted connections that are open, and how many of them have not said hello. */
  get load(): { readonly open: number; readonly strangers: number } {
    return { open: this.#open, strangers: this.#strangers.size };
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
    this.#sweeper?.cancel();
    this.#sweeper = undefined;
    await this.#listener.stop();
  }

  #accept(stream: ByteStream): void {
    const host = stream.remoteHost;
    const nowMs = this.#c.clock.now();
    const rates = isLoopback(host) ? this.#localRates : this.#rates;
    if (!rates.take(host, nowMs)) {
      this.#refuse(stream, 'source-rate');
      return;
    }
    const isFull = this.#open >= LIMITS.acceptedConnections;
    const { admitted, leaves } = this.#strangers.makeRoom(host, nowMs, isFull);
    // Peers are never shown out for somebody new, and whoever is shown out takes a moment to go.
    if (!admitted || this.#open >= OPEN_MAX) {
      this.#refuse(stream, isFull ? 'accepted-full' : 'handshake-full');
      return;
    }
    if (leaves !== undefined) this.#showOut(leaves);
    const visitor = this.#c.welcome(stream);
    this.#open += 1;
    this.#strangers.enter(visitor, host, nowMs);
    this.#sweeper ??= this.#c.clock.every(SWEEP_MS, () => this.#sweep());
    void visitor.closed.then(() => {
      this.#open -= 1;
      this.#strangers.leave(visitor);
    });
  }

  #refuse(stream: ByteStream, reason: ShedReason): void {
    this.#shed(reason, stream.remote);
    stream.destroy();
  }

  /** Runs only while somebody waits. */
  #sweep(): void {
    for (const overdue of this.#strangers.overdue(this.#c.clock.now())) this.#showOut(overdue);
    if (this.#strangers.size > 0) return;
    this.#sweeper?.cancel();
    this.#sweeper = undefined;
  }

  #showOut({ visitor, reason }: Eviction): void {
    this.#strangers.leave(visitor);
    this.#shed(reason, 'a stranger');
    visitor.dismiss();
  }

  #shed(reason: ShedReason, from: string): void {
    this.#c.sheds.add(reason);
    this.#c.logger.debug('connection-shed', { from, reason, ...this.load });
  }
}

function limiter(share: number): SourceLimiter {
  return new SourceLimiter(
    LIMITS.connectionsPerSecondPerSource * share,
    LIMITS.connectionsBurst * share,
    LIMITS.connectionSourcesMax,
  );
}
