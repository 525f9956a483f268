/**
 * The composition root: the only place where a node is put together. Everything below is handed what it needs;
 * everything above sees the `Mesh` and the chat service.
 */
import path from 'node:path';
import { createDiscovery, type Discovery } from '../discovery/index.js';
import type { Generations } from '../inference/index.js';
import { createConnection, createTcpTransport, createWireShared } from '../protocol/index.js';
import {
  type Address,
  type Clock,
  ExoError,
  type Logger,
  printable,
  Sheds,
  type Startable,
  silentLogger,
  startAll,
  stopAll,
  systemClock,
  systemRandom,
} from '../shared/index.js';
import { type CapabilityProbe, probeCapabilities, TopologyView } from '../topology/index.js';
import { createTunnels } from '../tunnels/index.js';
import { Acceptor } from './acceptor.js';
import { Admission } from './admission.js';
import { ChangeSignal } from './change-signal.js';
import { DialRecord } from './dial-record.js';
import { Dialer } from './dialer.js';
import { Gossip } from './gossip.js';
import { Introduction } from './introduction.js';
import { meet } from './meet.js';
import { MeshView } from './mesh-view.js';
import type { Node } from './node-handle.js';
import { NodeInference } from './node-inference.js';
import type { NodeComponents, NodeOptions } from './node-options.js';
import { NodeTunnels } from './node-tunnels.js';
import { ownPorts } from './own-ports.js';
import { PeerTable } from './peer-table.js';
import { Router } from './router.js';
import { SelfDescription } from './self-description.js';
import { Warnings } from './warnings.js';

/** Puts a node together. Nothing runs before `start`. */
export function createNode(options: NodeOptions, components: NodeComponents = {}): Node {
  return new MeshNode(options, components);
}

class MeshNode implements Node {
  readonly mesh: MeshView;
  readonly chat: Generations;
  readonly counters: Node['counters'];
  readonly sheds = new Sheds();
  readonly #options: NodeOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #probe: CapabilityProbe;
  readonly #warnings: Warnings;
  readonly #changes: ChangeSignal;
  readonly #view: TopologyView;
  readonly #peers: PeerTable;
  readonly #dialer: Dialer;
  readonly #gossip: Gossip;
  readonly #discovery: Discovery;
  readonly #acceptor: Acceptor;
  readonly #admission: Admission;
  readonly #meeting: Parameters<typeof meet>[1];
  readonly #stopping = new AbortController();
  readonly #inference: NodeInference;
  readonly #tunnels: NodeTunnels;
  readonly #parts: readonly Startable[];
  #stopped = false;
  #started = false;

  constructor(options: NodeOptions, components: NodeComponents) {
    const clock = components.clock ?? systemClock;
    const random = components.random ?? systemRandom;
    const logger = components.logger ?? silentLogger;
    const transport = components.transport ?? createTcpTransport({ clock });
    const selfId = options.nodeId;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#probe = components.capabilities ?? probeCapabilities({ clock });
    this.#warnings = new Warnings(clock);
    this.#changes = new ChangeSignal(clock, () => this.mesh.changed());
    this.#view = new TopologyView({
      id: selfId,
      epoch: options.epoch,
      capabilities: this.#probe.instant,
      wallMs: () => clock.wall(),
    });

    this.#peers = new PeerTable({
      clock,
      random,
      logger,
      sheds: this.sheds,
      isMeeting: (id, host) => this.#dialer.isDialling(id) || introduction.isMeeting(id, host),
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
          this.#inference.ring.onPeerLost(peer.id);
        },
        onLost: (peer) => {
          this.#gossip.peerLost(peer);
          this.#dialer.peerDown(peer.id);
        },
        onLink: (peer) => {
          this.#gossip.linkChanged(peer);
          this.#inference.port.linkChanged(peer);
        },
        onLinkLost: (_peer, link) => {
          const target = link.targetKey === undefined ? undefined : this.#dialer.get(link.targetKey);
          if (target !== undefined) this.#dialer.rest(target);
        },
        onChange: () => this.#changes.meshChanged(),
        onDuplicateId: (peer, other) => {
          const message = `two machines use the id "${peer.id}": ${peer.link?.connection.remote} and ${other}; give one of them another --node-id`;
          this.#warn('duplicate-id', message);
          peer.link?.connection.notify({ kind: 'notice', code: 'duplicate-id', message });
        },
      },
    });

    this.#inference = new NodeInference(options, {
      clock,
      random,
      logger,
      engine: components.inferenceEngine,
      downloads: components.downloads,
      peers: this.#peers,
      changes: this.#changes,
      snapshot: () => this.#gossip.snapshot(),
    });
    const { engine, ring, planner } = this.#inference;
    this.chat = this.#inference.chat;

    this.#gossip = new Gossip({
      clock,
      random,
      logger,
      view: this.#view,
      peers: this.#peers,
      onChange: () => this.#changes.meshChanged(),
      onHeardOf: (id) => this.#dialer.hint({ peerId: id }),
    });
    const router = new Router({
      gossip: this.#gossip,
      ring,
      planner,
      opinion: this.#peers.opinion,
      downloads: components.downloads,
      logger,
      onNotice: ({ hello, remote, remoteHost }, code, message) =>
        this.#warn(code, `${hello?.nodeId ?? remote} says: ${message}`, remoteHost),
      onLeave: (connection) => this.#peers.leave(connection),
    });

    this.#tunnels = new NodeTunnels(options.tunnels, {
      clock,
      random,
      logger,
      warnings: this.#warnings,
      ownPorts: () => ownPorts(options, this.#acceptor.address.port),
      create: components.tunnels ?? createTunnels,
      baseFolder: path.dirname(path.resolve(options.discovery.configPath ?? '.')),
      dialer: () => this.#dialer,
      peers: () => this.#peers.all(),
      onChange: () => this.#changes.changed(),
    });
    const self = new SelfDescription(options, {
      view: this.#view,
      address: () => this.#acceptor.address,
      discovery: () => this.#discovery.describe(),
    });
    const wire = createWireShared(this.sheds);
    this.#admission = new Admission({
      clock,
      random,
      logger,
      self: { id: selfId, instance: options.instance },
      trust: components.trust,
      onChange: () => this.#dialer.retryParked(),
    });
    const introduction = new Introduction({
      clock,
      transport,
      peers: this.#peers,
      self: { id: selfId, instance: options.instance },
      admission: this.#admission,
      hello: (extras) => self.hello(extras),
      allowsId: (id) => this.#discovery.allowsId(id),
      open: (stream, how, handlers) => createConnection(stream, how, { ...wire, clock, logger, handlers }),
      onMessage: (connection, message, context) => router.route(connection, message, context),
      onContact: (heard) => {
        this.#dialer.hint(heard);
        if (heard.peerId !== undefined) this.#tunnels.heard(heard.peerId);
      },
      onRefused: (subject, source, { code, message }) => {
        this.#discovery.refuse({ module: 'inbound', subject, source, code, reason: message });
      },
      onOwnIdElsewhere: (where) => this.#ownIdElsewhere(where),
    });
    this.#acceptor = new Acceptor(
      { host: options.nodeHost, port: options.nodePort },
      { clock, transport, logger, sheds: this.sheds, welcome: (stream) => introduction.welcome(stream) },
    );
    const dials = new DialRecord({
      logger,
      peers: this.#peers,
      dialer: () => this.#dialer,
      discovery: () => this.#discovery,
      onChange: () => this.#changes.changed(),
    });
    this.#dialer = new Dialer({
      clock,
      random,
      logger,
      introduce: (target, signal) => introduction.dial(target, signal),
      isUp: (id) => this.#peers.isReached(id),
      onOutcome: (target, outcome) => dials.note(target, outcome),
    });
    this.#meeting = { clock, introduction, dialer: this.#dialer };
    this.#discovery = (components.discover ?? createDiscovery)(options.discovery, {
      clock,
      random,
      logger,
      sheds: this.sheds,
      self: {
        nodeId: selfId,
        nodePort: () => this.#acceptor.address.port,
        capabilities: () => this.#view.own.capabilities,
        peerHosts: () => [...this.#peers.all()].flatMap((peer) => peer.link?.connection.remoteHost ?? []),
      },
      onCandidate: (candidate) => this.#dialer.offer(candidate),
      onHeard: (candidate) => this.#dialer.hint({ peerId: candidate.claimedId }),
      onWithdrawn: (key) => {
        if (!this.#stopped) dials.withdrawn(key);
      },
      onTunnels: (tunnels, peers) => this.#tunnels.apply(tunnels, peers),
      onDuplicateId: (candidate) => this.#ownIdElsewhere(candidate.address.host),
    });
    this.mesh = new MeshView({
      clock,
      peers: this.#peers,
      dialer: this.#dialer,
      warnings: this.#warnings,
      tunnels: this.#tunnels.view,
      waitsFor: (candidate) => this.#tunnels.waitsFor(candidate),
      reload: () => this.#discovery.reload(),
      self: () => self.summary(),
      refusals: () => this.#discovery.refusals(),
      snapshot: () => this.#gossip.snapshot(),
      activeNodeId: () => this.#inference.activeNodeId,
      trustOf: (connection) => this.#admission.trustOf(connection),
    });
    this.counters = {
      topologyMessagesSent: () => this.#gossip.messagesSent,
      ringRequests: () => ring.size,
      connections: () => this.#admission.connectionCount,
    };
    // Stopped in reverse: no new connection, no new dial, the work is given up (and who waits for it told), then
    // goodbye to the peers, the end of every other connection, and last of the tunnels that carried them.
    this.#parts = [
      this.#tunnels,
      engine,
      this.#admission,
      introduction,
      this.#peers,
      this.#gossip,
      ring,
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
    this.#inference.warm();
    const { host, port } = this.#acceptor.address;
    this.#logger.info('node-started', { id: this.#options.nodeId, host, port });
  }

  meet(address: Address, check: (nodeId: string) => void): Promise<string> {
    return meet(address, this.#meeting, this.#stopping.signal, check);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#changes.stop();
    this.#stopping.abort(new ExoError('request-cancelled', 'the node stops'));
    await this.#inference.giveUp();
    await stopAll(this.#parts);
    this.#logger.info('node-stopped', { id: this.#options.nodeId });
  }

  #ownIdElsewhere(where: string): void {
    this.#warn(
      'duplicate-id',
      `another machine (${where}) uses this node's id "${this.#options.nodeId}": start one of the two with another --node-id`,
    );
  }

  #warn(code: string, message: string, source?: string): void {
    const text = printable(message, 400);
    if (this.#warnings.add(code, text, source)) this.#logger.warn(code, { message: text });
    this.#changes.changed();
  }
}
