/**
 * Keeps the topology view in step with the mesh: tells it what this node dialled and lost, sends what the push
 * planner says, compares views with newcomers and now and then with a random neighbour, and asks old peers for
 * their part. Owns the timers; the rules are in `topology`.
 */
import type {
  Connection,
  TopologyResponse,
  TopologySync,
  TopologySynced,
  TopologyUpdate,
  TopologyUpdated,
} from '../protocol/index.js';
import {
  type Clock,
  LIMITS,
  type Logger,
  type Random,
  randomInt,
  type Startable,
  type TimerHandle,
} from '../shared/index.js';
import {
  PushPlanner,
  SyncGate,
  splitBySize,
  type TopologyView,
  type ViewSnapshot,
} from '../topology/index.js';
import type { Peer } from './peer.js';
import type { PeerTable } from './peer-table.js';

/** What the gossip works with. */
export interface GossipComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly view: TopologyView;
  readonly peers: PeerTable;
  /** The view changed. */
  onChange(): void;
  /** A node is on the mesh, heard of through others: a moment to dial it. */
  onHeardOf(id: string): void;
}

/** A claim must lack its connection at two looks in a row; twice this is longer than a connection takes to come up. */
const CLAIM_CHECK_MS = 2_000;

/** The gossip of one node. */
export class Gossip implements Startable {
  readonly #c: GossipComponents;
  readonly #planner: PushPlanner;
  readonly #gate: SyncGate;
  readonly #pollingLegacy = new Set<string>();
  /** Members whose last connection broke: what was sent meanwhile did not reach them. */
  readonly #missing = new Set<string>();
  /** Claims that had no connection at the last look. */
  #unfounded: ReadonlySet<string> = new Set();
  #timers: TimerHandle[] = [];
  #pushTimer: { readonly handle: TimerHandle; readonly dueMs: number } | undefined;
  #messagesSent = 0;

  constructor(components: GossipComponents) {
    this.#c = components;
    this.#planner = new PushPlanner(components.view);
    this.#gate = new SyncGate(components.view);
  }

  /** Topology messages sent since the start (updates, syncs and their answers). */
  get messagesSent(): number {
    return this.#messagesSent;
  }

  async start(): Promise<void> {
    const { clock } = this.#c;
    this.#timers = [
      clock.every(LIMITS.topologySyncMs, () => this.#compareWithSomebody()),
      clock.every(LIMITS.legacyTopologyMs, () => this.#pollLegacy()),
      clock.every(CLAIM_CHECK_MS, () => this.#denyClaims()),
    ];
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    this.#pushTimer?.handle.cancel();
    this.#pushTimer = undefined;
  }

  /** A peer became a member. */
  peerUp(peer: Peer): void {
    this.#missing.delete(peer.id);
    const now = this.#c.clock.now();
    const { view } = this.#c;
    if (peer.protocol === 'legacy') {
      view.speakFor(peer.id, { capabilities: peer.capabilities, edges: [] }, this.#c.clock.wall());
      this.#ownEdges(peer);
      this.#pollOne(peer);
      return;
    }
    view.introduce(peer.id, peer.epoch, peer.capabilities);
    this.#ownEdges(peer);
    this.#planner.connected(peer.id, now);
    const hello = peer.link?.connection.hello;
    if (hello !== undefined) {
      const { epoch, topologyDigest: digest } = hello;
      if (this.#gate.shouldAsk({ id: peer.id, epoch, digest }, now)) void this.#sync(peer, digest);
    }
    this.#changed();
  }

  /** The last connection to a member broke; it may be back in a moment. */
  peerLost(peer: Peer): void {
    this.#missing.add(peer.id);
  }

  /** A peer is a member no longer. */
  peerDown(peer: Peer): void {
    const { view } = this.#c;
    this.#missing.delete(peer.id);
    const now = this.#c.clock.now();
    view.removeEdge(peer.id);
    if (peer.protocol === 'exo') view.noteLost(peer.id, peer.epoch);
    this.#planner.broke(peer.id, false, now);
    this.#planner.ownChanged(now);
    this.#changed();
  }

  /** Another connection of the peer is in use now. */
  linkChanged(peer: Peer): void {
    if (peer.present) this.#ownEdges(peer);
    const { link } = peer;
    if (link !== undefined && this.#missing.delete(peer.id) && peer.protocol === 'exo') {
      this.#planner.broke(peer.id, true, this.#c.clock.now());
      if (link.outgoing) void this.#sync(peer, '');
    }
    this.#changed();
  }

  /** Own capabilities were refined. */
  ownChanged(): void {
    this.#planner.ownChanged(this.#c.clock.now());
    this.#changed();
  }

  /** 0x52. */
  onUpdate(from: string | null, update: TopologyUpdate): TopologyUpdated {
    if (from !== null) this.#receive(update, from);
    return { kind: 'topology-updated' };
  }

  /** 0x54. */
  onSync(from: string | null, sync: TopologySync): TopologySynced {
    this.#messagesSent += 1;
    return this.#c.view.answerSync(sync, from ?? undefined);
  }

  /** 0x30, for old peers. */
  wireView(): TopologyResponse {
    return this.#c.view.wireView(this.#connected());
  }

  snapshot(): ViewSnapshot {
    return this.#c.view.snapshot(this.#connected());
  }

  /**
   * Keeps the own entry's edge to a peer in step with the connection in use. Where the peer's connection took over from
   * an own one, the own edge stays until the peer's is heard of: two nodes that are connected are never shown apart.
   */
  #ownEdges(peer: Peer): void {
    const { view } = this.#c;
    const link = peer.link;
    const cleared = view.clearLost(peer.id);
    const changed =
      link?.outgoing === true
        ? view.addEdge(peer.id, link.description)
        : this.#claimsEdge(peer.id) && view.removeEdge(peer.id);
    if (cleared || changed) this.#planner.ownChanged(this.#c.clock.now());
  }

  #claimsEdge(id: string): boolean {
    const { view } = this.#c;
    return view.entry(id)?.edges.some(({ toId }) => toId === view.id) === true;
  }

  #receive(update: Pick<TopologyUpdate, 'entries' | 'spread'>, from: string): void {
    const result = this.#planner.receive(update, from, this.#c.clock.now(), this.#connected());
    for (const { id, reason } of result.rejected) {
      this.#c.logger.debug('topology-entry-rejected', { from, id, reason });
    }
    for (const id of result.changed) {
      const peer = this.#c.peers.get(id);
      if (peer?.present === true && peer.reachable) this.#ownEdges(peer);
      else this.#c.onHeardOf(id);
    }
    this.#changed();
  }

  async #sync(peer: Peer, digest: string): Promise<void> {
    const connection = peer.link?.connection;
    if (connection === undefined) return;
    this.#messagesSent += 1;
    try {
      const answer = await connection.request({ kind: 'topology-sync', versions: this.#c.view.versions() });
      if (answer.kind !== 'topology-synced') return;
      this.#receive({ entries: answer.entries }, peer.id);
      const wanted = this.#c.view.entriesOf(answer.wanted, peer.id);
      for (const entries of splitBySize(wanted, LIMITS.topologyUpdateBytesMax)) {
        this.#push(connection, { entries, spread: [] });
      }
    } catch (error) {
      this.#gate.failed(digest);
      this.#c.logger.debug('topology-sync-failed', { peer: peer.id, error });
    }
  }

  /**
   * An edge to this node that a node without a connection goes on claiming is what is left of a connection of an earlier
   * start; one that was claimed just now is a connection coming up.
   */
  #denyClaims(): void {
    const { view, clock } = this.#c;
    const unfounded = view.unfoundedClaims(this.#connected());
    let changed = false;
    for (const id of unfounded) {
      const epoch = view.entry(id)?.epoch;
      if (epoch !== undefined && this.#unfounded.has(id)) changed = view.noteLost(id, epoch) || changed;
    }
    this.#unfounded = new Set(unfounded);
    if (!changed) return;
    this.#planner.ownChanged(clock.now());
    this.#changed();
  }

  /** In case a push was lost: one random neighbour, now and then. */
  #compareWithSomebody(): void {
    this.#c.view.expire(this.#c.clock.now(), this.#connected());
    const peers = [...this.#c.peers.all()].filter(
      (peer) => peer.present && peer.protocol === 'exo' && peer.reachable,
    );
    if (peers.length === 0) return;
    const peer = peers[randomInt(this.#c.random, 0, peers.length - 1)]!;
    void this.#sync(peer, '');
  }

  #pollLegacy(): void {
    for (const peer of this.#c.peers.all()) {
      if (peer.protocol === 'legacy' && peer.present && peer.reachable) this.#pollOne(peer);
    }
  }

  /** The original merges only the asked peer's own node and edges; so does this. */
  #pollOne(peer: Peer): void {
    const connection = peer.link?.connection;
    if (connection === undefined || this.#pollingLegacy.has(peer.id)) return;
    this.#pollingLegacy.add(peer.id);
    const { view, clock, logger } = this.#c;
    connection
      .request(
        { kind: 'topology-request', visited: [view.id], maxDepth: 4 },
        { timeoutMs: LIMITS.healthTimeoutMs },
      )
      .then((answer) => {
        if (answer.kind !== 'topology-response' || !peer.present) return;
        const capabilities = answer.nodes.get(peer.id) ?? peer.capabilities;
        peer.capabilities = capabilities;
        const edges = answer.peerGraph.get(peer.id) ?? [];
        if (view.speakFor(peer.id, { capabilities, edges }, clock.wall())) this.#spokeFor(peer);
      })
      .catch((error: unknown) => logger.debug('legacy-topology-failed', { peer: peer.id, error }))
      .finally(() => this.#pollingLegacy.delete(peer.id));
  }

  /** What an old peer told goes to the new neighbours at once. */
  #spokeFor(peer: Peer): void {
    const entries = this.#c.view.entriesOf([peer.id]);
    for (const neighbour of this.#c.peers.all()) {
      const connection = neighbour.link?.connection;
      if (neighbour.present && neighbour.protocol === 'exo' && connection !== undefined) {
        this.#push(connection, { entries, spread: entries.map((entry) => entry.id) });
      }
    }
    this.#changed();
  }

  #push(
    connection: Connection,
    update: { entries: TopologyUpdate['entries']; spread: readonly string[] },
  ): void {
    this.#messagesSent += 1;
    connection.notify({ kind: 'topology-update', ...update });
  }

  /** Ids of new peers that can be told things. */
  #connected(): ReadonlySet<string> {
    const ids = new Set<string>();
    for (const peer of this.#c.peers.all()) {
      if (peer.present && peer.protocol === 'exo' && peer.reachable) ids.add(peer.id);
    }
    return ids;
  }

  #changed(): void {
    this.#arm();
    this.#c.onChange();
  }

  #arm(): void {
    const dueMs = this.#planner.nextDueMs();
    if (dueMs === undefined || (this.#pushTimer !== undefined && this.#pushTimer.dueMs <= dueMs)) return;
    this.#pushTimer?.handle.cancel();
    const handle = this.#c.clock.after(Math.max(0, dueMs - this.#c.clock.now()), () => {
      this.#pushTimer = undefined;
      const pushes = this.#planner.take(this.#c.clock.now(), this.#connected());
      for (const { to, entries, spread } of pushes) {
        const connection = this.#c.peers.get(to)?.link?.connection;
        if (connection !== undefined) this.#push(connection, { entries, spread });
      }
      this.#arm();
    });
    this.#pushTimer = { handle, dueMs };
  }
}
