/**
 * UDP discovery, the original's on the wire: every 2.5 s a datagram per interface to its broadcast address, and a
 * listener that turns what it hears into candidates. It proves nothing and answers nothing: a heard peer is
 * dialled, so one direction of broadcast is enough, and a spoofed datagram gets no reply to amplify.
 */
import {
  type Clock,
  ExoError,
  type Logger,
  type Random,
  type ShedReason,
  type Sheds,
  type TimerHandle,
  toExoError,
} from '../shared/index.js';
import type { CandidateSink, DiscoveryModule, DiscoverySelf } from './candidate.js';
import type { LocalInterface } from './interfaces.js';
import { UdpAnnouncer } from './udp-announcer.js';
import { decodeDatagram, looksLikeDatagram } from './udp-packet.js';
import { type DatagramSocket, type OpenDatagramSocket, openDatagramSocket } from './udp-socket.js';
import { UdpSources } from './udp-sources.js';

/** Ports and times. */
export interface UdpOptions {
  /** `--listen-port`; 0 takes a free one (`listenPort()` tells which). */
  readonly listenPort: number;
  /** `--broadcast-port`. */
  readonly broadcastPort: number;
  /** `--discovery-timeout`, milliseconds. */
  readonly discoveryTimeoutMs: number;
}

/** What the module needs. */
export interface UdpComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly self: DiscoverySelf;
  readonly sink: CandidateSink;
  /** The machine's interfaces now. */
  interfaces(): readonly LocalInterface[];
  /** Whether candidates of this host have led to peers. */
  isProvenHost(host: string): boolean;
  /** Where datagrams that are not read are counted. */
  readonly sheds?: Sheds | undefined;
  /** @default node:dgram */
  readonly openSocket?: OpenDatagramSocket;
}

/** After an error of the listening socket (it happens when the network goes to sleep) it is opened again. */
const REOPEN_MS = 2_000;

/** Announces and listens. */
export class UdpDiscovery implements DiscoveryModule {
  readonly name = 'udp';
  readonly #options: UdpOptions;
  readonly #c: UdpComponents;
  readonly #open: OpenDatagramSocket;
  readonly #announcer: UdpAnnouncer;
  readonly #sources: UdpSources;
  #listener: DatagramSocket | undefined;
  #reopen: TimerHandle | undefined;
  #reopening: Promise<void> = Promise.resolve();
  #problem: string | undefined;
  #running = false;
  #heard = 0;
  #dropped = 0;

  constructor(options: UdpOptions, components: UdpComponents) {
    this.#options = options;
    this.#c = components;
    this.#open = components.openSocket ?? openDatagramSocket;
    this.#announcer = new UdpAnnouncer(
      { port: options.broadcastPort },
      { ...components, openSocket: this.#open },
    );
    this.#sources = new UdpSources(components.isProvenHost);
  }

  /** Rejects with `port-in-use` when the listen port is taken. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    await this.#listen();
    await this.#announcer.start();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#reopen?.cancel();
    await this.#reopening;
    await this.#announcer.stop();
    await this.#listener?.close();
    this.#listener = undefined;
  }

  /** The bound port. */
  listenPort(): number {
    return this.#listener?.port ?? this.#options.listenPort;
  }

  describe(): string {
    const listening = this.#problem ?? `listens on port ${this.listenPort()}`;
    const counts = `${this.#heard} heard${this.#dropped === 0 ? '' : `, ${this.#dropped} dropped`}`;
    return `${listening} (${counts}); ${this.#announcer.describe()}`;
  }

  async #listen(): Promise<void> {
    const { listenPort } = this.#options;
    try {
      this.#listener = await this.#open(
        '0.0.0.0',
        listenPort,
        (bytes, host, port) => this.#onDatagram(bytes, host, port),
        (error) => this.#onListenerError(error),
      );
      this.#problem = undefined;
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === 'EADDRINUSE') {
        throw new ExoError(
          'port-in-use',
          `UDP port ${listenPort} is taken by another program; choose another with --listen-port (and the same as --broadcast-port on the other nodes)`,
          { cause, retryable: true },
        );
      }
      throw new ExoError(
        'option-invalid',
        `UDP port ${listenPort} cannot be listened on (${(cause as Error).message}); choose another with --listen-port`,
        { cause },
      );
    }
  }

  /** The node goes on without broadcasts until the socket can be opened again. */
  #onListenerError(error: Error): void {
    if (!this.#running) return;
    this.#problem = `does not hear broadcasts now (${error.message})`;
    this.#c.logger.warn('udp-listener-failed', { error });
    const broken = this.#listener;
    this.#listener = undefined;
    this.#reopening = Promise.resolve(broken?.close());
    this.#scheduleReopen();
  }

  #scheduleReopen(): void {
    if (!this.#running) return;
    this.#reopen?.cancel();
    this.#reopen = this.#c.clock.after(REOPEN_MS, () => {
      this.#reopening = this.#reopening.then(() => this.#listen()).catch(() => this.#scheduleReopen());
    });
  }

  #onDatagram(bytes: Buffer, host: string, port: number): void {
    // From the cheapest check to the dearest, so that a flood costs little.
    if (!looksLikeDatagram(bytes)) {
      this.#drop('datagram-invalid');
      return;
    }
    if (!this.#sources.take(host, port, this.#c.clock.now())) {
      this.#drop('datagram-rate');
      return;
    }
    let heard: ReturnType<typeof decodeDatagram>;
    try {
      heard = decodeDatagram(bytes);
    } catch (error) {
      this.#drop('datagram-invalid');
      const { code, message } = toExoError(error);
      this.#c.sink.refuse({
        module: 'udp',
        subject: host,
        source: host,
        code,
        reason: `${message}; if an exo node runs there, its version or --broadcast-port may be wrong`,
      });
      return;
    }
    this.#heard += 1;
    if (heard.nodeId === this.#c.self.nodeId && this.#isOwn(host, heard.nodePort)) return;
    this.#c.sink.offer(
      {
        key: `udp:${heard.nodeId}@${host}:${heard.nodePort}`,
        module: 'udp',
        address: { host, port: heard.nodePort },
        claimedId: heard.nodeId,
        capabilities: heard.capabilities,
        description: `${heard.interfaceType} (${heard.interfaceName})`,
        priority: heard.priority,
        interfaceType: heard.interfaceType,
        configured: false,
      },
      { expiresInMs: this.#options.discoveryTimeoutMs },
    );
  }

  #drop(reason: ShedReason): void {
    this.#dropped += 1;
    this.#c.sheds?.add(reason);
  }

  /** The own broadcast, and not that of another machine with the same id. */
  #isOwn(host: string, nodePort: number): boolean {
    return nodePort === this.#c.self.nodePort() && this.#announcer.hasAddress(host);
  }
}
