/**
 * The mesh as everybody above the node sees it: summaries for people and for `--json`, made on request from the
 * peer table, the dialer, the discovery pool and the topology view. Changes nothing.
 */
import type { Candidate, Refusal } from '../discovery/index.js';
import { type Connection, type DeviceCapabilities, UNKNOWN_CAPABILITIES } from '../protocol/index.js';
import { type Clock, ExoError, formatAddress } from '../shared/index.js';
import { partitionRing, ringMembers, type ViewSnapshot } from '../topology/index.js';
import type { Tunnels } from '../tunnels/index.js';
import type { Dialer } from './dialer.js';
import type { Mesh, MeshWarning, PeerSummary, PingReply, SelfSummary, TopologySnapshot } from './mesh.js';
import type { Peer } from './peer.js';
import type { PeerTable } from './peer-table.js';
import type { Target } from './target.js';
import type { Warnings } from './warnings.js';

/** Where the summaries come from. */
export interface MeshViewComponents {
  readonly clock: Clock;
  readonly peers: PeerTable;
  readonly dialer: Dialer;
  readonly warnings: Warnings;
  readonly tunnels: Tunnels;
  /** Why an address cannot be reached yet, where a tunnel is in the way. */
  waitsFor(candidate: Candidate): string | undefined;
  reload(): Promise<void>;
  self(): SelfSummary;
  refusals(): readonly Refusal[];
  snapshot(): ViewSnapshot;
  activeNodeId(): string | null;
  /** How the other end of a connection is trusted, in words. */
  trustOf(connection: Connection): string | undefined;
}

/** The running mesh, for readers. */
export class MeshView implements Mesh {
  readonly #c: MeshViewComponents;
  readonly #listeners = new Set<() => void>();

  constructor(components: MeshViewComponents) {
    this.#c = components;
  }

  /** Tells all listeners; called by the node after every change. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  get tunnels(): Tunnels {
    return this.#c.tunnels;
  }

  reload(): Promise<void> {
    return this.#c.reload();
  }

  self(): SelfSummary {
    return this.#c.self();
  }

  refusals(): readonly Refusal[] {
    return this.#c.refusals();
  }

  spareAddresses(): readonly Refusal[] {
    const spare: Refusal[] = [];
    for (const target of this.#c.dialer.targets()) {
      const peer = target.state === 'resting' ? this.#c.peers.get(target.peerId ?? '') : undefined;
      if (peer?.link === undefined) continue;
      spare.push({
        module: target.candidate.module,
        subject: `${peer.id} at ${formatAddress(target.address)}`,
        code: 'address-spare',
        reason: `not used: ${peer.id} is reached ${peer.link.outgoing ? 'at' : 'from'} ${peer.link.connection.remote} (${peer.link.description})`,
        atMs: this.#c.clock.wall(),
      });
    }
    return spare;
  }

  warnings(): readonly MeshWarning[] {
    return this.#c.warnings.list();
  }

  peers(): readonly PeerSummary[] {
    const summaries: PeerSummary[] = [];
    const { nodes } = this.#c.snapshot();
    const shown = new Set<string>();
    for (const peer of this.#c.peers.all()) {
      summaries.push(this.#summary(peer, nodes.get(peer.id) ?? peer.capabilities));
      shown.add(peer.id);
    }
    for (const target of this.#c.dialer.targets()) {
      const id = target.peerId ?? target.candidate.claimedId;
      if (shown.has(id) || this.#aliasOfShown(target, shown)) continue;
      shown.add(id);
      summaries.push(this.#unmet(id, target));
    }
    return summaries.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  topology(): TopologySnapshot {
    const snapshot = this.#c.snapshot();
    const { members } = ringMembers(snapshot);
    const active = this.#c.activeNodeId();
    return {
      nodes: snapshot.nodes,
      edges: snapshot.edges,
      legacyIds: snapshot.legacyIds,
      digest: snapshot.digest,
      // A status may name anybody; only a node of the mesh can be at work.
      activeNodeId: active !== null && snapshot.nodes.has(active) ? active : null,
      partitions: partitionRing(new Map(members.map((id) => [id, snapshot.nodes.get(id)!]))),
    };
  }

  async ping(
    node: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<PingReply> {
    const peer = this.#find(node);
    const link = peer.link;
    const rttMs = await this.#c.peers.ping(peer, options.timeoutMs, options.signal);
    return {
      id: peer.id,
      rttMs,
      address: link?.connection.remote ?? '',
      direction: link?.outgoing === false ? 'in' : 'out',
    };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  waitForPeers(count: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        stop();
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const check = () => {
        const alive = [...this.#c.peers.all()].filter((peer) => peer.state === 'alive').length;
        if (alive >= count) end(resolve);
      };
      const onAbort = () => end(() => reject(signal.reason));
      const stop = this.onChange(check);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else check();
    });
  }

  /** By id, alias, or unique prefix of an id. */
  #find(name: string): Peer {
    const all = [...this.#c.peers.all()];
    const exact = this.#c.peers.get(name) ?? all.find((peer) => peer.aliases.has(name));
    if (exact !== undefined) return exact;
    const fitting = all.filter((peer) => peer.id.startsWith(name));
    if (fitting.length === 1) return fitting[0]!;
    if (fitting.length > 1) {
      const names = fitting.map((peer) => peer.id).join(', ');
      throw new ExoError('node-ambiguous', `"${name}" fits ${names}: write more of the id`);
    }
    if (name === this.self().id) {
      throw new ExoError('self-address', `"${name}" is this node; name another one: ${this.#names(all)}`);
    }
    for (const target of this.#c.dialer.targets()) {
      if (target.peerId !== name && target.candidate.claimedId !== name) continue;
      const why = this.#whyNot(target) ?? `${formatAddress(target.address)} is being dialled`;
      throw new ExoError('peer-unreachable', `there is no connection to "${name}": ${why}`, {
        retryable: true,
      });
    }
    throw new ExoError('peer-unknown', `no peer is called "${name}"; known: ${this.#names(all)}`);
  }

  #names(peers: readonly Peer[]): string {
    return peers.length === 0 ? 'none' : peers.map((peer) => peer.id).join(', ');
  }

  #summary(peer: Peer, capabilities: DeviceCapabilities): PeerSummary {
    const now = this.#c.clock.now();
    const link = peer.link;
    const target = this.#targetOf(peer);
    let bytesIn = 0;
    let bytesOut = 0;
    for (const { connection } of peer.links) {
      bytesIn += connection.stats.bytesIn;
      bytesOut += connection.stats.bytesOut;
    }
    const next = target?.nextDialAtMs;
    return {
      id: peer.id,
      aliases: [...peer.aliases],
      state: peer.state,
      reason: peer.present || target === undefined ? peer.reason : (this.#whyNot(target) ?? peer.reason),
      protocol: peer.protocol,
      address: link?.connection.remote ?? (target === undefined ? '' : formatAddress(target.address)),
      direction: link === undefined || link.outgoing ? 'out' : 'in',
      description: link?.description ?? target?.candidate.description ?? '',
      encrypted: link?.connection.secured !== undefined,
      trust: (link && this.#c.trustOf(link.connection)) ?? null,
      rttMs: peer.rtt === undefined ? null : round(peer.rtt.srttMs),
      bytesPerS: this.#c.peers.rates.of(peer),
      silentMs: Number.isFinite(peer.aliveAtMs) ? Math.round(now - peer.aliveAtMs) : null,
      bytesIn,
      bytesOut,
      capabilities,
      nextDialMs: peer.reachable || next === undefined ? null : Math.max(0, Math.round(next - now)),
    };
  }

  /** A candidate that never became a peer. */
  #unmet(id: string, target: Target): PeerSummary {
    const next = target.nextDialAtMs;
    return {
      id,
      aliases: [],
      state: 'connecting',
      reason: this.#whyNot(target) ?? 'dialling',
      protocol: 'exo',
      address: formatAddress(target.address),
      direction: 'out',
      description: target.candidate.description,
      encrypted: false,
      trust: null,
      rttMs: null,
      bytesPerS: null,
      silentMs: null,
      bytesIn: 0,
      bytesOut: 0,
      capabilities: target.candidate.capabilities ?? UNKNOWN_CAPABILITIES,
      nextDialMs: next === undefined ? null : Math.max(0, Math.round(next - this.#c.clock.now())),
    };
  }

  /** What is in the way of an address: its tunnel, else what the last try said. */
  #whyNot(target: Target): string | undefined {
    return this.#c.waitsFor(target.candidate) ?? target.lastError?.message;
  }

  #targetOf(peer: Peer): Target | undefined {
    for (const target of this.#c.dialer.targets()) {
      if ((target.peerId ?? target.candidate.claimedId) === peer.id) return target;
    }
    return undefined;
  }

  #aliasOfShown(target: Target, shown: ReadonlySet<string>): boolean {
    return target.peerId !== undefined && shown.has(target.peerId);
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
