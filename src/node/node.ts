/**
 * The composition root: the only place where a node is put together. Everything below is handed what it needs;
 * everything above sees the `Mesh` and the chat service.
 */
import {
  createDiscovery,
  type Discovery,
  type DiscoveryComponents,
  type DiscoveryOptions,
} from '../discovery/index.js';
import { ActiveNode, createEngine, Generations, type InferenceEngine, Ring } from '../inference/index.js';
import {
  createConnection,
  createTcpTransport,
  createWireShared,
  type Hello,
  type Transport,
} from '../protocol/index.js';
import {
  type Clock,
  ExoError,
  type Logger,
  printable,
  type Random,
  type Startable,
  silentLogger,
  startAll,
  stopAll,
  systemClock,
  systemRandom,
} from '../shared/index.js';
import { type CapabilityProbe, probeCapabilities, TopologyView } from '../topology/index.js';
import { Acceptor } from './acceptor.js';
import { Dialer, type DialOutcome } from './dialer.js';
import { Gossip } from './gossip.js';
import { Introduction } from './introduction.js';
import type { Mesh } from './mesh.js';
import { MeshView } from './mesh-view.js';
import { PeerTable } from './peer-table.js';
import { createRingPort } from './ring-port.js';
import { Router } from './router.js';
import type { Target } from './target.js';
import { Warnings } from './warnings.js';

/** Everything that distinguishes one node from another. Plain data. */
export interface NodeOptions {
  readonly nodeId: string;
  /** 16 hex digits, new with every start. */
  readonly instance: string;
  /** Milliseconds since the Unix epoch at start. */
  readonly epoch: number;
  /** Version of this program, for people. */
  readonly version: string;
  readonly nodeHost: string;
  readonly nodePort: number;
  readonly discovery: DiscoveryOptions;
  /** `--inference-engine`. */
  readonly engine: string;
  readonly defaultModel?: string;
  readonly systemPrompt?: string;
  readonly responseTimeoutMs: number;
  readonly maxGenerateTokens: number;
  readonly defaultTemperature: number;
}

/** Parts of the world that a test or the simulator replaces. */
export interface NodeComponents {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
  readonly transport?: Transport;
  /** @default createDiscovery */
  readonly discover?: (options: DiscoveryOptions, components: DiscoveryComponents) => Discovery;
  /** @default what systeminformation says of this machine */
  readonly capabilities?: CapabilityProbe;
  /** @default createEngine(options.engine) */
  readonly inferenceEngine?: InferenceEngine;
}

/** A node that can be started and stopped. */
export interface Node extends Startable {
  readonly mesh: Mesh;
  /** Answers questions; `api` and `exo run` use it. */
  readonly chat: Generations;
  /** Counters for benches and tests. */
  readonly counters: { topologyMessagesSent(): number; ringRequests(): number };
}

/** Puts a node together. Nothing runs before `start`. */
export function createNode(options: NodeOptions, components: NodeComponents = {}): Node {
  return new MeshNode(options, components);
}

class MeshNode implements Node {
  readonly mesh: MeshView;
  readonly chat: Generations;
  readonly counters: Node['counters'];
  readonly #options: NodeOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #probe: CapabilityProbe;
  readonly #warnings: Warnings;
  readonly #view: TopologyView;
  readonly #peers: PeerTable;
  readonly #dialer: Dialer;
  readonly #gossip: Gossip;
  readonly #discovery: Discovery;
  readonly #acceptor: Acceptor;
  readonly #ring: Ring;
  readonly #parts: readonly Startable[];
  #stopped = false;
  #started = false;

  constructor(options: NodeOptions, components: NodeComponents) {
    const clock = components.clock ?? systemClock;
    const random = components.random ?? systemRandom;
    const logger = components.logger ?? silentLogger;
    const transport = components.transport ?? createTcpTransport({ clock });
    const engine = components.inferenceEngine ?? createEngine(options.engine);
    const selfId = options.nodeId;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#probe = components.capabilities ?? probeCapabilities({ clock });
    this.#warnings = new Warnings(clock);
    this.#view = new TopologyView({
      id: selfId,
      epoch: options.epoch,
      capabilities: this.#probe.instant,
      wallMs: () => clock.wall(),
    });

    this.#peers = new PeerTable({
      clock,
      logger,
      events: {
        onUp: (peer) => {
          logger.info('peer-up', {
            peer: peer.id,
            address: peer.link?.connection.remote,
            protocol: peer.protocol,
          });
          this.#gossip.peerUp(peer);
          this.#dialer.hint({ peerId: peer.id });
        },
        onDown: (peer, reason) => {
          logger.warn('peer-down', { peer: peer.id, reason });
          this.#gossip.peerDown(peer);
          this.#ring.onPeerLost(peer.id);
        },
        onLost: (peer) => this.#dialer.peerDown(peer.id),
        onLink: (peer) => this.#gossip.linkChanged(peer),
        onLinkLost: (_peer, link) => {
          const target = link.targetKey === undefined ? undefined : this.#dialer.get(link.targetKey);
          if (target !== undefined) this.#dialer.rest(target);
        },
        onChange: () => this.#meshChanged(),
        onDuplicateId: (peer, other) => {
          const message = `two machines use the id "${peer.id}": ${peer.link?.connection.remote} and ${other}; give one of them another --node-id`;
          this.#warn('duplicate-id', message);
          peer.link?.connection.notify({ kind: 'notice', code: 'duplicate-id', message });
        },
      },
    });

    const activeNode = new ActiveNode(() => this.#changed());
    const port = createRingPort({
      selfId,
      clock,
      peers: this.#peers,
      snapshot: () => this.#gossip.snapshot(),
      changedAtMs: () => this.#meshChangedAtMs,
    });
    const { maxGenerateTokens, defaultTemperature, responseTimeoutMs, defaultModel, systemPrompt } = options;
    this.#ring = new Ring(
      { maxGenerateTokens, defaultTemperature, responseTimeoutMs },
      { engine, port, activeNode, clock, random, log: logger },
    );
    this.chat = new Generations(
      { defaultModel, systemPrompt, responseTimeoutMs },
      { ring: this.#ring, engine, clock, random, log: logger },
    );

    this.#gossip = new Gossip({
      clock,
      random,
      logger,
      view: this.#view,
      peers: this.#peers,
      onChange: () => this.#meshChanged(),
      onHeardOf: (id) => this.#dialer.hint({ peerId: id }),
    });
    const router = new Router({
      gossip: this.#gossip,
      ring: this.#ring,
      logger,
      onNotice: (from, code, message) => this.#warn(code, `${from} says: ${message}`),
    });

    const wire = createWireShared();
    const introduction = new Introduction({
      clock,
      transport,
      peers: this.#peers,
      self: { id: selfId, instance: options.instance },
      hello: (path) => this.#hello(path),
      allowsId: (id) => this.#discovery.allowsId(id),
      open: (stream, how, handlers) => createConnection(stream, how, { ...wire, clock, logger, handlers }),
      onMessage: (connection, message, context) => router.route(connection, message, context),
      onContact: (heard) => this.#dialer.hint(heard),
      onRefused: (subject, error) => {
        this.#discovery.refuse({ module: 'inbound', subject, code: error.code, reason: error.message });
      },
      onOwnIdElsewhere: (where) => this.#ownIdElsewhere(where),
    });
    this.#acceptor = new Acceptor(
      { host: options.nodeHost, port: options.nodePort },
      { transport, logger, welcome: (stream) => introduction.welcome(stream) },
    );
    this.#dialer = new Dialer({
      clock,
      random,
      logger,
      introduce: (target, signal) => introduction.dial(target, signal),
      isUp: (id) => this.#peers.isUp(id),
      onOutcome: (target, outcome) => this.#noteDial(target, outcome),
    });
    this.#discovery = (components.discover ?? createDiscovery)(options.discovery, {
      clock,
      random,
      logger,
      self: {
        nodeId: selfId,
        nodePort: () => this.#acceptor.address.port,
        capabilities: () => this.#view.own.capabilities,
        peerHosts: () => [...this.#peers.all()].flatMap((peer) => peer.link?.connection.remoteHost ?? []),
      },
      onCandidate: (candidate) => this.#dialer.offer(candidate),
      onHeard: (candidate) => this.#dialer.hint({ peerId: candidate.claimedId }),
      onWithdrawn: (key) => this.#withdraw(key),
      onDuplicateId: (candidate) => this.#ownIdElsewhere(candidate.address.host),
    });
    this.mesh = new MeshView({
      clock,
      peers: this.#peers,
      dialer: this.#dialer,
      warnings: this.#warnings,
      self: () => this.#self(),
      refusals: () => this.#discovery.refusals(),
      snapshot: () => this.#gossip.snapshot(),
      activeNodeId: () => activeNode.id,
    });
    this.counters = {
      topologyMessagesSent: () => this.#gossip.messagesSent,
      ringRequests: () => this.#ring.size,
    };
    // Stopped in reverse: no new connection, no new dial, the work is given up (and who waits for it told), then
    // goodbye to the peers, and the end of every other connection.
    this.#parts = [
      engine,
      introduction,
      this.#peers,
      this.#gossip,
      this.#ring,
      this.#dialer,
      this.#acceptor,
      this.#discovery,
    ];
  }

  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    await startAll(this.#parts);
    void this.#probe.refined.then((capabilities) => {
      if (!this.#stopped && this.#view.setCapabilities(capabilities)) this.#gossip.ownChanged();
    });
    const { host, port } = this.#acceptor.address;
    this.#logger.info('node-started', { id: this.#options.nodeId, host, port });
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.chat.stop();
    await stopAll(this.#parts);
    this.#logger.info('node-stopped', { id: this.#options.nodeId });
  }

  #hello(path: Hello['path']): Hello {
    return {
      versionMin: 1,
      versionMax: 1,
      nodeId: this.#options.nodeId,
      instance: this.#options.instance,
      epoch: this.#view.own.epoch,
      features: ['correlated', 'topology'],
      capabilities: this.#view.own.capabilities,
      nodePort: this.#acceptor.address.port,
      topologyDigest: this.#view.digest(),
      agent: `exo-mesh/${this.#options.version}`,
      ...(path === undefined ? {} : { path }),
    };
  }

  #self(): ReturnType<Mesh['self']> {
    const { nodeId, instance, version, epoch } = this.#options;
    const { host, port } = this.#acceptor.address;
    return {
      id: nodeId,
      instance,
      version,
      nodeHost: host,
      nodePort: port,
      startedAtMs: epoch,
      capabilities: this.#view.own.capabilities,
      discovery: this.#discovery.describe(),
    };
  }

  #noteDial(target: Target, outcome: DialOutcome | ExoError): void {
    const { key, module, address, claimedId } = target.candidate;
    if (!(outcome instanceof ExoError)) {
      this.#peers.leaveAddress(key, outcome.peerId);
      this.#discovery.noteOutcome(key, { ok: true, rttMs: outcome.rttMs, peerId: outcome.peerId });
      this.#discovery.unrefuse(claimedId);
      this.#changed();
      return;
    }
    this.#logger.debug('dial-failed', {
      to: claimedId,
      host: address.host,
      port: address.port,
      error: outcome,
    });
    this.#discovery.noteOutcome(key, { ok: false, error: outcome.message });
    if (target.state === 'parked') {
      this.#discovery.refuse({ module, subject: claimedId, code: outcome.code, reason: outcome.message });
    }
    this.#peers.unreachable(target.peerId ?? claimedId, outcome.message);
    this.#changed();
  }

  /** No longer configured or announced: a configured peer is let go, an announced one stays while it is connected. */
  #withdraw(key: string): void {
    if (this.#stopped) return;
    const target = this.#dialer.withdraw(key);
    if (target === undefined || !target.candidate.configured) return;
    const peer = target.peerId === undefined ? undefined : this.#peers.get(target.peerId);
    const link = peer?.links.find((each) => each.targetKey === key);
    if (peer === undefined || link === undefined) return;
    if (peer.links.length === 1) this.#peers.disconnect(peer, 'it was removed from the configuration');
    else void link.connection.close();
  }

  #ownIdElsewhere(where: string): void {
    const { nodeId } = this.#options;
    this.#warn(
      'duplicate-id',
      `another machine (${where}) uses this node's id "${nodeId}": start one of the two with another --node-id`,
    );
  }

  #warn(code: string, message: string): void {
    const text = printable(message, 400);
    if (this.#warnings.add(code, text)) this.#logger.warn(code, { message: text });
    this.#changed();
  }

  /** A peer or the view changed. */
  #meshChanged(): void {
    this.#meshChangedAtMs = this.#clock.now();
    this.#changed();
  }
  #meshChangedAtMs = 0;

  /** Many things change at once; listeners hear of it once. */
  #changed(): void {
    if (this.#changePending || this.#stopped) return;
    this.#changePending = true;
    queueMicrotask(() => {
      this.#changePending = false;
      this.mesh.changed();
    });
  }
  #changePending = false;
}
