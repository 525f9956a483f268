/**
 * A mesh of views and planners on virtual time: links with random delays, no sockets. What the node does around
 * the planner (hello, timers, sync) is done here in its smallest form. Every run is given by its seed.
 */
import type { DeviceCapabilities, TopologyEntry, TopologySync } from '../../src/protocol/index.js';
import { type Random, randomInt, seededRandom } from '../../src/shared/index.js';
import { PushPlanner, SyncGate, TopologyView } from '../../src/topology/index.js';

export function capabilities(memory = 1024): DeviceCapabilities {
  return { model: 'Box', chip: 'Chip', memory, flops: { fp32: 1, fp16: 2, int8: 4 } };
}

type Body =
  | { kind: 'update'; entries: readonly TopologyEntry[]; spread: readonly string[] }
  | TopologySync
  | { kind: 'topology-synced'; entries: readonly TopologyEntry[]; wanted: readonly string[] };

interface Event {
  atMs: number;
  order: number;
  run: () => void;
}

export interface MeshNode {
  readonly id: string;
  readonly view: TopologyView;
  readonly planner: PushPlanner;
  readonly gate: SyncGate;
  readonly neighbours: Set<string>;
  timerAtMs: number;
}

export class GossipMesh {
  readonly nodes = new Map<string, MeshNode>();
  readonly random: Random;
  /** Messages handed to a link, by kind. */
  sent = { update: 0, sync: 0, entries: 0 };
  nowMs = 0;
  readonly #latencyMsMax: number;
  readonly #events: Event[] = [];
  #order = 0;
  /** Rises with every connection of a pair: what was under way on an earlier one is lost. */
  readonly #links = new Map<string, number>();

  constructor(seed: number, latencyMsMax = 20) {
    this.random = seededRandom(seed);
    this.#latencyMsMax = latencyMsMax;
  }

  add(id: string, epoch = 1_000_000 + Math.floor(this.nowMs)): MeshNode {
    const view = new TopologyView({
      id,
      epoch,
      capabilities: capabilities(randomInt(this.random, 1, 9) * 1024),
      wallMs: () => 1_000_000 + this.nowMs,
    });
    const node: MeshNode = {
      id,
      view,
      planner: new PushPlanner(view),
      gate: new SyncGate(view),
      neighbours: new Set(),
      timerAtMs: Number.POSITIVE_INFINITY,
    };
    this.nodes.set(id, node);
    return node;
  }

  /** `dialler` opens a connection to `acceptor`; both have seen the hello of the other. */
  connect(diallerId: string, acceptorId: string): void {
    const dialler = this.nodes.get(diallerId)!;
    const acceptor = this.nodes.get(acceptorId)!;
    if (dialler.neighbours.has(acceptorId)) return;
    const key = pair(diallerId, acceptorId);
    this.#links.set(key, (this.#links.get(key) ?? 0) + 1);
    const digests = [dialler.view.digest(), acceptor.view.digest()] as const;
    for (const [own, other] of [
      [dialler, acceptor],
      [acceptor, dialler],
    ] as const) {
      own.neighbours.add(other.id);
      own.view.introduce(other.id, other.view.own.epoch, other.view.own.capabilities);
    }
    if (dialler.view.addEdge(acceptorId, 'MAN')) dialler.planner.ownChanged(this.nowMs);
    if (acceptor.view.clearLost(diallerId)) acceptor.planner.ownChanged(this.nowMs);
    for (const [own, other, digest] of [
      [dialler, acceptor, digests[1]],
      [acceptor, dialler, digests[0]],
    ] as const) {
      own.planner.connected(other.id, this.nowMs);
      if (own.gate.shouldAsk({ id: other.id, epoch: other.view.own.epoch, digest }, this.nowMs)) {
        this.#send(own, other.id, { kind: 'topology-sync', versions: own.view.versions() });
      }
      this.#arm(own);
    }
  }

  /** Each end notices after a random time of at most `noticeMsMax`. */
  disconnect(a: string, b: string, noticeMsMax = 5): void {
    this.#links.set(pair(a, b), (this.#links.get(pair(a, b)) ?? 0) + 1);
    const link = this.#links.get(pair(a, b));
    for (const [ownId, otherId] of [
      [a, b],
      [b, a],
    ] as const) {
      const epoch = this.nodes.get(otherId)?.view.own.epoch;
      this.after(this.random.next() * noticeMsMax, () => {
        const own = this.nodes.get(ownId);
        if (own === undefined || this.#links.get(pair(a, b)) !== link || !own.neighbours.delete(otherId))
          return;
        const changed = own.view.own.edges.some((edge) => edge.toId === otherId)
          ? own.view.removeEdge(otherId)
          : own.view.noteLost(otherId, epoch ?? 0);
        if (changed) own.planner.ownChanged(this.nowMs);
        this.#arm(own);
      });
    }
  }

  /** The node is gone without a word. */
  kill(id: string, noticeMsMax = 5): void {
    const node = this.nodes.get(id)!;
    for (const other of [...node.neighbours]) this.disconnect(id, other, noticeMsMax);
    this.nodes.delete(id);
  }

  /** What the node does every `LIMITS.topologySyncMs`: one random neighbour each. */
  syncRound(): void {
    for (const node of this.nodes.values()) {
      const neighbours = [...node.neighbours];
      if (neighbours.length === 0) continue;
      const to = neighbours[randomInt(this.random, 0, neighbours.length - 1)]!;
      this.#send(node, to, { kind: 'topology-sync', versions: node.view.versions() });
    }
    this.settle();
  }

  /** Runs until nothing is under way and nothing is due. Returns the virtual milliseconds that it took. */
  settle(eventsMax = 5_000_000): number {
    const startMs = this.nowMs;
    let events = 0;
    for (let event = pop(this.#events); event !== undefined; event = pop(this.#events)) {
      if (++events > eventsMax) throw new Error('the mesh does not come to rest');
      this.nowMs = event.atMs;
      event.run();
    }
    return this.nowMs - startMs;
  }

  /** What the node does every few seconds. */
  expire(): void {
    for (const node of this.nodes.values()) node.view.expire(this.nowMs, node.neighbours);
  }

  /** After a change made on a node's view from outside: sets its timer and runs to rest. */
  run(node: MeshNode): void {
    this.#arm(node);
    this.settle();
  }

  digests(): Set<string> {
    return new Set([...this.nodes.values()].map((node) => node.view.digest()));
  }

  messages(): number {
    return this.sent.update + this.sent.sync;
  }

  after(delayMs: number, run: () => void): void {
    push(this.#events, { atMs: this.nowMs + delayMs, order: this.#order++, run });
  }

  #arm(node: MeshNode): void {
    const dueMs = node.planner.nextDueMs();
    if (dueMs === undefined || dueMs >= node.timerAtMs) return;
    node.timerAtMs = dueMs;
    this.after(Math.max(0, dueMs - this.nowMs), () => {
      if (node.timerAtMs !== dueMs || this.nodes.get(node.id) !== node) return;
      node.timerAtMs = Number.POSITIVE_INFINITY;
      for (const { to, entries, spread } of node.planner.take(this.nowMs, node.neighbours)) {
        this.#send(node, to, { kind: 'update', entries, spread });
      }
      this.#arm(node);
    });
  }

  #send(from: MeshNode, toId: string, body: Body): void {
    if (body.kind === 'update') this.sent.update += 1;
    else this.sent.sync += 1;
    if ('entries' in body) this.sent.entries += body.entries.length;
    const key = pair(from.id, toId);
    const link = this.#links.get(key);
    this.after(this.random.next() * this.#latencyMsMax, () => {
      const to = this.nodes.get(toId);
      if (to === undefined || this.#links.get(key) !== link) return;
      this.#receive(to, from.id, body);
      this.#arm(to);
    });
  }

  #receive(node: MeshNode, from: string, body: Body): void {
    if (body.kind === 'topology-sync') {
      const answer = node.view.answerSync(body, from);
      this.#send(node, from, answer);
      return;
    }
    node.planner.receive(body, from, this.nowMs, node.neighbours);
    if (body.kind === 'topology-synced' && body.wanted.length > 0) {
      const entries = node.view.entriesOf(body.wanted, from);
      if (entries.length > 0) this.#send(node, from, { kind: 'update', entries, spread: [] });
    }
  }
}

function pair(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

function earlier(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  heap.push(event);
  let at = heap.length - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!earlier(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child += 1;
    if (!earlier(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return top;
}
