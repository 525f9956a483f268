/**
 * From a stream to a peer: says hello on dialled connections, answers it on accepted ones, and refuses what cannot be a peer
 * (`peer-rules.ts`). Owns every connection that it made, also those that no peer has: strangers, old peers' own, and losers being
 * drained.
 */
import {
  type AccessLevel,
  type ByteStream,
  type Connection,
  type ConnectionHandlers,
  type Hello,
  reaches,
  type Transport,
  UNKNOWN_CAPABILITIES,
} from '../protocol/index.js';
import {
  type Clock,
  ExoError,
  formatAddress,
  isLoopback,
  LIMITS,
  printable,
  type Startable,
} from '../shared/index.js';
import type { Visitor } from './acceptor.js';
import type { Admission } from './admission.js';
import { Arrivals } from './arrivals.js';
import type { DialOutcome } from './dialer.js';
import type { Link } from './peer.js';
import { leadsBack, PeerRules, type PeerRulesComponents, provesNothing } from './peer-rules.js';
import type { PeerTable } from './peer-table.js';
import type { Target } from './target.js';

/** What an introduction needs. */
export interface IntroductionComponents extends PeerRulesComponents {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly peers: PeerTable;
  readonly admission: Admission;
  /** The own hello, as it is now. */
  hello(extras: Pick<Hello, 'path' | 'auth'>): Hello;
  open(
    stream: ByteStream,
    options: {
      readonly role: 'dialler' | 'acceptor';
      readonly trusted: boolean;
      readonly access: AccessLevel;
    },
    handlers: ConnectionHandlers,
  ): Connection;
  onMessage: ConnectionHandlers['onMessage'];
  /** An accepted connection became a peer, or turned out to be an old one. */
  onContact(heard: { readonly peerId?: string; readonly host: string }): void;
  /** Something inbound was refused, that came from `host`. */
  onRefused(subject: string, host: string, error: ExoError): void;
}

/** The dialling end of the own loop tells it; a newcomer that has left again, or comes again encrypted, was not refused. */
const UNREMARKABLE: ReadonlySet<string> = new Set(['self-address', 'connection-closed', 'tls-required']);

/** Makes peers of streams. */
export class Introduction implements Startable {
  readonly #c: IntroductionComponents;
  readonly #open = new Set<Connection>();
  readonly #arrivals = new Arrivals();
  readonly #rules: PeerRules;

  constructor(components: IntroductionComponents) {
    this.#c = components;
    this.#rules = new PeerRules(components);
  }

  async start(): Promise<void> {}

  /** Closes what is still open. To be called when nothing dials or listens any more. */
  async stop(): Promise<void> {
    await Promise.all([...this.#open].map((connection) => connection.close()));
  }

  /** Whether somebody is being met who says that it is this node, or comes from its `host` and has not said a name yet. */
  isMeeting(nodeId: string, host?: string): boolean {
    if (this.#arrivals.has(nodeId)) return true;
    // Behind loopback stand all tunnels and every program of this machine.
    if (host === undefined || isLoopback(host)) return false;
    return [...this.#open].some(
      ({ role, state, remoteHost }) => role === 'acceptor' && state === 'fresh' && remoteHost === host,
    );
  }

  /** Dials a target. Resolves when its peer is known; rejects with the reason in words. */
  async dial(target: Target, signal: AbortSignal): Promise<DialOutcome> {
    const { admission } = this.#c;
    const { claimedId, address } = target.candidate;
    const ids = target.peerId === undefined ? [claimedId] : [claimedId, target.peerId];
    const secure = target.secure || admission.dialsSecurely(address.host, ids);
    try {
      return await this.#dialAs(target, secure, signal);
    } catch (error) {
      const wanted = error instanceof ExoError && error.code === 'tls-required' && admission.canSecure;
      if (secure || !wanted || signal.aborted) throw error;
      // Whoever asked for it once is never talked to in plain again.
      target.secure = true;
      return await this.#dialAs(target, true, signal);
    }
  }

  async #dialAs(target: Target, secure: boolean, signal: AbortSignal): Promise<DialOutcome> {
    const connection = await this.#dialOnce(target, secure, signal);
    if (secure) target.secure = true;
    return await this.#arrivals.wait(connection, this.#meet(connection, target, signal));
  }

  async #meet(connection: Connection, target: Target, signal: AbortSignal): Promise<DialOutcome> {
    const { candidate } = target;
    let introduced = false;
    try {
      const startedAtMs = this.#c.clock.now();
      const hello = await connection.introduce(
        this.#hello(connection, {
          path: { description: candidate.description, priority: candidate.priority },
        }),
        { timeoutMs: LIMITS.healthTimeoutMs, signal },
      );
      introduced = true;
      const rttMs = this.#c.clock.now() - startedAtMs;
      // Without correlated messages in common it is spoken to as an old peer, whatever it said.
      if (hello === undefined || connection.state === 'legacy') {
        if (connection.secured !== undefined || connection.access === 'open') throw provesNothing(target);
        return { ...(await this.#dialLegacy(target, connection, signal)), rttMs };
      }
      this.#rules.checkHello(hello, formatAddress(candidate.address));
      await this.#c.admission.prove(connection, hello, signal);
      const link = this.#link(connection, this.#c.self.id, candidate, target.key);
      const peer = await this.#c.peers.adopt(link, hello);
      signal.throwIfAborted();
      // What a datagram claims is nobody's name.
      if (candidate.configured && candidate.claimedId !== peer.id) peer.aliases.add(candidate.claimedId);
      return { peerId: peer.id, inUse: peer.links.includes(link), rttMs };
    } catch (error) {
      this.#c.admission.tellRefused(connection, error);
      void connection.close();
      if (error instanceof ExoError && error.code === 'self-address') throw leadsBack(target);
      if (!introduced && error instanceof ExoError && error.code === 'duplicate-id') {
        this.#c.onOwnIdElsewhere(formatAddress(candidate.address));
      }
      throw error;
    }
  }

  /** Takes an accepted stream. */
  welcome(stream: ByteStream): Visitor {
    const connection = this.#speak(
      stream,
      {
        role: 'acceptor',
        trusted: isLoopback(stream.remoteHost),
        access: this.#c.admission.initialAccess(stream.remoteHost),
      },
      {
        onHello: (self, hello) => this.#answer(self, hello),
        onMessage: (...asked) => this.#route(...asked),
        onClose: (self, reason) => this.#c.peers.lose(self, reason),
      },
    );
    let met = false;
    return {
      isStranger: () => {
        if (!met && connection.state !== 'fresh' && connection.access !== 'open') {
          met = true;
          if (connection.state === 'legacy') this.#c.onContact({ host: connection.remoteHost });
        }
        return !met;
      },
      isSilent: () => connection.stats.bytesIn === 0,
      dismiss: () => void connection.close(),
      closed: connection.closed,
    };
  }

  async #dialOnce(target: Target, secure: boolean, signal: AbortSignal): Promise<Connection> {
    const stream = await this.#c.transport.dial(target.address, {
      timeoutMs: LIMITS.connectTimeoutMs,
      signal,
      secure,
    });
    return this.#speak(
      stream,
      {
        role: 'dialler',
        trusted: target.candidate.configured || isLoopback(stream.remoteHost),
        access: this.#c.admission.initialAccess(target.address.host),
      },
      {
        onHello: () => {
          throw new ExoError('protocol-violation', 'the accepting side sent a hello request');
        },
        onMessage: (...asked) => this.#route(...asked),
        onClose: (self, reason) => this.#c.peers.lose(self, reason),
      },
    );
  }

  #speak(...parts: Parameters<IntroductionComponents['open']>): Connection {
    const connection = this.#c.open(...parts);
    this.#open.add(connection);
    this.#c.admission.opened(connection);
    void connection.closed.then(() => this.#open.delete(connection));
    return connection;
  }

  /** An old peer answers one thing at a time: its health gets a connection of its own. */
  async #dialLegacy(target: Target, connection: Connection, signal: AbortSignal) {
    const { candidate } = target;
    const id = candidate.claimedId;
    if (id === this.#c.self.id) throw leadsBack(target);
    this.#rules.checkId(id, formatAddress(candidate.address));
    const health = await this.#dialOnce(target, false, signal);
    try {
      await health.request({ kind: 'health-request' }, { timeoutMs: LIMITS.healthTimeoutMs, signal });
      const link = this.#link(connection, this.#c.self.id, candidate, target.key);
      const peer = this.#c.peers.adoptLegacy(
        id,
        link,
        health,
        candidate.capabilities ?? UNKNOWN_CAPABILITIES,
      );
      return { peerId: peer.id, inUse: peer.links.includes(link) };
    } catch (error) {
      void health.close();
      throw error;
    }
  }

  #answer(connection: Connection, hello: Hello): Hello {
    try {
      this.#c.admission.checkHello(connection, hello);
      // Without its port: each try of the same machine comes from another one.
      this.#rules.checkHello(hello, connection.remoteHost);
    } catch (error) {
      this.#refused(connection, hello, error);
      throw error;
    }
    // In the next microtask, when the answer is on its way and nothing else was read: both sides know of it then.
    const meeting = Promise.resolve().then(() => this.#adoptInbound(connection, hello));
    this.#arrivals.wait(connection, meeting).catch(() => undefined);
    return this.#hello(connection, {});
  }

  /** Who has to prove something first is not told what this machine is: peers hear that with the topology. */
  #hello(connection: Connection, extras: Pick<Hello, 'path'>): Hello {
    const { admission } = this.#c;
    const hello = this.#c.hello({ ...extras, ...admission.helloAuth(connection) });
    if (reaches(connection.access, 'member')) return hello;
    return { ...hello, capabilities: UNKNOWN_CAPABILITIES, agent: '' };
  }

  async #adoptInbound(connection: Connection, hello: Hello): Promise<void> {
    if (connection.state === 'legacy') {
      this.#c.onContact({ host: connection.remoteHost });
      return;
    }
    const link = this.#link(
      connection,
      hello.nodeId,
      hello.path ?? { description: 'inbound', priority: 0 },
      undefined,
    );
    try {
      await this.#c.admission.awaitProofs(connection, hello);
      const peer = await this.#c.peers.adopt(link, hello);
      this.#c.onContact({ peerId: peer.id, host: connection.remoteHost });
    } catch (error) {
      this.#refused(connection, hello, error);
      await connection.close();
      throw error;
    }
  }

  /** Until it is known whose connection it is, what comes over it waits; when it is nobody's, that is the answer. */
  #route(...asked: Parameters<ConnectionHandlers['onMessage']>): ReturnType<ConnectionHandlers['onMessage']> {
    const meeting = this.#arrivals.of(asked[0]);
    const [connection, message] = asked;
    if (message.kind === 'auth-request') return this.#c.admission.onAuth(connection, message);
    if (message.kind === 'key-update') return this.#c.admission.onKeys(connection, message);
    // A notice tells why the meeting fails. What a stranger says reaches no operator.
    if (message.kind === 'notice') {
      const heard = this.#c.admission.isHeard(connection);
      if (heard === true) return this.#c.onMessage(...asked);
      return heard.then((isHeard) => (isHeard ? this.#c.onMessage(...asked) : undefined));
    }
    if (meeting === undefined) return this.#c.onMessage(...asked);
    return meeting.then(() => this.#c.onMessage(...asked));
  }

  /** The subject has no port: each try of the same node comes from another one. */
  #refused(connection: Connection, hello: Hello, error: unknown): void {
    if (!(error instanceof ExoError) || UNREMARKABLE.has(error.code)) return;
    const host = connection.remoteHost;
    this.#c.onRefused(`${printable(hello.nodeId, LIMITS.nodeIdCharsMax)} from ${host}`, host, error);
  }

  #link(
    connection: Connection,
    diallerId: string,
    path: { readonly description: string; readonly priority: number },
    targetKey: string | undefined,
  ): Link {
    return {
      connection,
      diallerId,
      description: path.description,
      priority: path.priority,
      serial: connection.serial,
      outgoing: connection.role === 'dialler',
      targetKey,
    };
  }
}
