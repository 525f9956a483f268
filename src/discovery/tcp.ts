/**
 * TCP discovery, the original's on the wire: a listener that answers one announce with its own, and an announcer
 * that asks around. An announce is a hint: the node dials what was claimed and only the hello proves it.
 */
import type { Socket } from 'node:net';
import {
  type Clock,
  ExoError,
  isLoopback,
  LIMITS,
  type Logger,
  type Random,
  type Sheds,
  SourceLimiter,
  toExoError,
} from '../shared/index.js';
import { type Announce, encodeAnnounce } from './announce.js';
import type { CandidateSink, DiscoveryModule, DiscoverySelf } from './candidate.js';
import type { LocalInterface } from './interfaces.js';
import type { ReadNeighbours } from './neighbours.js';
import { TcpAnnouncer } from './tcp-announcer.js';
import {
  type AnnounceListener,
  type ConnectForAnnounce,
  connectForAnnounce,
  type ListenForAnnounces,
  listenForAnnounces,
  receiveAnnounce,
} from './tcp-exchange.js';

/** Ports and times. */
export interface TcpOptions {
  /** `--listen-port`; 0 takes a free one (`listenPort()` tells which). */
  readonly listenPort: number;
  /** `--broadcast-port`: where the others listen. */
  readonly broadcastPort: number;
  /** `--discovery-timeout`, milliseconds. */
  readonly discoveryTimeoutMs: number;
}

/** What the module needs. */
export interface TcpComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly self: DiscoverySelf;
  readonly sink: CandidateSink;
  interfaces(): readonly LocalInterface[];
  readonly neighbours: ReadNeighbours;
  /** Hosts of candidates that the user named or that tcp found before. */
  knownHosts(): readonly string[];
  /** Where announces that are not read are counted. */
  readonly sheds?: Sheds | undefined;
  /** @default node:net */
  readonly listen?: ListenForAnnounces;
  /** @default node:net */
  readonly connect?: ConnectForAnnounce;
}

/** Where nothing tells which path is better: as an Ethernet address. */
const PRIORITY = 4;

/** Listens and asks. */
export class TcpDiscovery implements DiscoveryModule {
  readonly name = 'tcp';
  readonly #options: TcpOptions;
  readonly #c: TcpComponents;
  readonly #announcer: TcpAnnouncer;
  readonly #sources = new SourceLimiter(
    LIMITS.datagramsPerSecondPerSource,
    LIMITS.datagramBurst,
    LIMITS.datagramSourcesMax,
  );
  #listener: AnnounceListener | undefined;
  #running = false;

  constructor(options: TcpOptions, components: TcpComponents) {
    this.#options = options;
    this.#c = components;
    this.#announcer = new TcpAnnouncer(
      { port: options.broadcastPort },
      {
        clock: components.clock,
        random: components.random,
        logger: components.logger,
        connect: components.connect ?? connectForAnnounce,
        announce: () => this.#ownAnnounce(),
        interfaces: () => components.interfaces(),
        neighbours: components.neighbours,
        knownHosts: () => [...components.knownHosts(), ...components.self.peerHosts()],
        isSelf: (host) => this.#isOwnHost(host) && options.broadcastPort === this.listenPort(),
        onAnswer: (host, answer) => this.#offer(host, answer),
      },
    );
  }

  /** Rejects with `port-in-use` when the listen port is taken. */
  async start(): Promise<void> {
    if (this.#running) return;
    const { listenPort } = this.#options;
    try {
      this.#listener = await (this.#c.listen ?? listenForAnnounces)(
        '0.0.0.0',
        listenPort,
        (socket) => void this.#serve(socket),
        (error) => this.#c.logger.warn('tcp-listener-failed', { error }),
        () => this.#c.sheds?.add('announce-full'),
      );
    } catch (cause) {
      const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
      throw new ExoError(
        taken ? 'port-in-use' : 'option-invalid',
        `TCP port ${listenPort} ${taken ? 'is taken by another program' : `cannot be listened on (${(cause as Error).message})`}; choose another with --listen-port`,
        { cause, retryable: taken },
      );
    }
    this.#running = true;
    await this.#announcer.start();
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#announcer.stop();
    await this.#listener?.close();
    this.#listener = undefined;
  }

  /** The bound port. */
  listenPort(): number {
    return this.#listener?.port ?? this.#options.listenPort;
  }

  describe(): string {
    return `listens on port ${this.listenPort()}; ${this.#announcer.describe()}`;
  }

  /** Answers one announce; a port check or anything else just gets its connection closed. */
  async #serve(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    const host = plainHost(socket.remoteAddress ?? '');
    const source = isLoopback(host) ? `${host}:${socket.remotePort}` : host;
    if (host === '' || !this.#sources.take(source, this.#c.clock.now())) {
      socket.destroy();
      return;
    }
    try {
      const announce = await receiveAnnounce(socket, this.#c.clock, LIMITS.announceTimeoutMs);
      // The original makes a health check first and answers up to 5 s later; the node's dial does that here.
      if (announce.nodeId !== this.#c.self.nodeId) socket.end(encodeAnnounce(this.#ownAnnounce()));
      this.#offer(host, announce);
      this.#endSoon(socket);
    } catch (error) {
      socket.destroy();
      const { code, message } = toExoError(error);
      if (code !== 'candidate-invalid') return;
      this.#c.sink.refuse({
        module: 'tcp',
        subject: host,
        source: host,
        code,
        reason: `${message}; if an exo node runs there, its version or --listen-port may be wrong`,
      });
    }
  }

  /** The answer leaves, then the connection ends whether or not the other side closes it. */
  #endSoon(socket: Socket): void {
    socket.end();
    socket.resume();
    const timer = this.#c.clock.after(LIMITS.closeGraceMs, () => socket.destroy());
    socket.once('close', () => timer.cancel());
  }

  #offer(host: string, announce: Announce): void {
    const address = { host: plainHost(host), port: announce.nodePort };
    const { self } = this.#c;
    if (
      announce.nodeId === self.nodeId &&
      address.port === self.nodePort() &&
      this.#isOwnHost(address.host)
    ) {
      return;
    }
    this.#c.sink.offer(
      {
        key: `tcp:${announce.nodeId}@${address.host}:${address.port}`,
        module: 'tcp',
        address,
        claimedId: announce.nodeId,
        capabilities: announce.capabilities,
        description: `TCP (${address.host})`,
        priority: PRIORITY,
        configured: false,
      },
      { expiresInMs: this.#options.discoveryTimeoutMs },
    );
  }

  #ownAnnounce(): Announce {
    const { self } = this.#c;
    return { nodeId: self.nodeId, nodePort: self.nodePort(), capabilities: self.capabilities() };
  }

  #isOwnHost(host: string): boolean {
    return isLoopback(host) || this.#c.interfaces().some((where) => where.address === host);
  }
}

/** An IPv4 address as such, also when the system shows it inside IPv6. */
function plainHost(host: string): string {
  return host.startsWith('::ffff:') ? host.slice('::ffff:'.length) : host;
}
