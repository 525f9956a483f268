/**
 * The topology as one node knows it: its own entry and the newest one heard of every other node. Pure: no I/O,
 * no timers; the time comes with the calls that need it. It merges, answers what is newer, and shows the result.
 * It does not decide who is told what (`push-planner.ts`), nor does it know connections: the node tells it what
 * it dialled and what it lost.
 *
 * `connected` in these methods are the ids with a live connection to this node, in either direction.
 */
import type {
  DeviceCapabilities,
  TopologyEntry,
  TopologyResponse,
  TopologySync,
  TopologySynced,
} from '../protocol/index.js';
import { LIMITS } from '../shared/index.js';
import { Absences } from './absences.js';
import {
  compareAge,
  compareEntries,
  type EntryTable,
  EPOCH_MAX,
  entryProblem,
  type StoredEntry,
  splitBySize,
  storeEntry,
} from './entry.js';
import { EpochBound } from './epoch-bound.js';
import { FormerLinks } from './former-links.js';
import { digestOf, holds, reachable, toWireView } from './reach.js';
import { snapshotOf, type ViewSnapshot } from './view-snapshot.js';

/** (epoch, version) by id. */
export type Versions = TopologySync['versions'];

/** What became of heard entries. */
export interface MergeResult {
  /** Ids whose entry is new or newer than before. */
  readonly changed: readonly string[];
  /** An entry of this node's own id was newer than its own: the own epoch was raised above it. */
  readonly refuted: boolean;
  /** The own entry changed, by refuting. */
  readonly ownChanged: boolean;
  /** Ids of connected nodes that another says started anew: they are to hear what is said of them, and answer it. */
  readonly contested: readonly string[];
  /** Entries not taken in, and why, in words. */
  readonly rejected: ReadonlyArray<{ readonly id: string; readonly reason: string }>;
}

/** The gossip state of one node. */
export class TopologyView {
  readonly #id: string;
  readonly #entries = new Map<string, StoredEntry>();
  /** Kept by `expire`. */
  readonly #absences = new Absences();
  readonly #formerLinks = new FormerLinks();
  readonly #epochs: EpochBound;
  #present: ReadonlySet<string> | undefined;
  #digest: string | undefined;

  /** `epoch`: `clock.wall()` at start, so that it rises with every restart. `wallMs`: the same clock, now. */
  constructor(self: {
    readonly id: string;
    readonly epoch: number;
    readonly capabilities: DeviceCapabilities;
    readonly wallMs: () => number;
  }) {
    const { id, capabilities } = self;
    this.#id = id;
    this.#epochs = new EpochBound(self.wallMs);
    const epoch = Math.floor(self.epoch);
    this.#entries.set(id, storeEntry({ id, epoch, version: 1, capabilities, edges: [], lost: [] }));
  }

  get id(): string {
    return this.#id;
  }

  /** This node's own entry. */
  get own(): TopologyEntry {
    return this.#own.entry;
  }

  /** All accepted entries, absent nodes included. For the push rules. */
  get entries(): EntryTable {
    return this.#entries;
  }

  /** The accepted entry of a node, present or not. */
  entry(id: string): TopologyEntry | undefined {
    return this.#entries.get(id)?.entry;
  }

  // ---------------------------------------------------------------- the own entry; each returns whether it changed

  setCapabilities(capabilities: DeviceCapabilities): boolean {
    return this.#changeOwn({ capabilities });
  }

  /** This node dialled `toId` (again). */
  addEdge(toId: string, description: string): boolean {
    const edges = new Map(this.#own.edges).set(toId, description);
    return this.#changeOwn({ edges: edgeList(edges) });
  }

  /** The connection that this node dialled is gone. */
  removeEdge(toId: string): boolean {
    const edges = new Map(this.#own.edges);
    edges.delete(toId);
    return this.#changeOwn({ edges: edgeList(edges) });
  }

  /** The connection that start `epoch` (from its hello) of `id` had dialled to this node is gone. */
  noteLost(id: string, epoch: number): boolean {
    if ((this.#own.lost.get(id) ?? -1) >= epoch) return false;
    // The last in the list is the newest: the oldest makes room.
    const lost = this.own.lost.filter((loss) => loss.id !== id);
    return this.#changeOwn({ lost: [...lost, { id, epoch }].slice(-LIMITS.topologyEdgesPerNode) });
  }

  /** `id` has dialled this node again. */
  clearLost(id: string): boolean {
    return this.#changeOwn({ lost: this.own.lost.filter((loss) => loss.id !== id) });
  }

  // ---------------------------------------------------------------- what others say

  /** What a hello said of a node, until its own first entry is heard. Returns whether it is new. */
  introduce(id: string, epoch: number, capabilities: DeviceCapabilities): boolean {
    if (id === this.#id) return false;
    this.#epochs.greeted(id, epoch);
    if (compareAge({ epoch, version: 0 }, this.entry(id) ?? NEVER) <= 0) return false;
    const hello: TopologyEntry = { id, epoch, version: 0, capabilities, edges: [], lost: [] };
    return entryProblem(hello) === undefined && this.#accept(storeEntry(hello));
  }

  /**
   * This node speaks for an old peer that it dialled: what the peer told of itself and its own edges. Changes
   * nothing (and returns false) when the same is known already, or when the node speaks for itself.
   */
  speakFor(id: string, told: Pick<TopologyEntry, 'capabilities' | 'edges'>, wallMs: number): boolean {
    const known = this.#entries.get(id);
    if (id === this.#id || (known && known.entry.legacy !== true && this.present().has(id))) return false;
    const epoch = Math.max(Math.floor(wallMs), (known?.entry.epoch ?? -1) + 1);
    const entry: TopologyEntry = { ...told, id, epoch, version: 1, lost: [], legacy: true };
    if (entryProblem(entry) !== undefined) return false;
    const stored = storeEntry(entry);
    if (known?.entry.legacy === true && known.contentText === stored.contentText) return false;
    return this.#accept(stored);
  }

  /**
   * Takes in heard entries that are newer than what is known. `from`: whose connection they came over. What a node says
   * of itself there may have any epoch; one that is told by others, this node's own id included, is bounded.
   */
  merge(
    entries: readonly TopologyEntry[],
    nowMs: number,
    connected: ReadonlySet<string> = new Set(),
    from?: string,
  ): MergeResult {
    const changed: string[] = [];
    const contested: string[] = [];
    const epochMax = this.#epochs.maxOf(connected);
    const rejected: Array<{ id: string; reason: string }> = [];
    const ownBefore = this.#own;
    let refuted = false;
    for (const entry of entries) {
      const problem = entryProblem(entry, entry.id === from ? EPOCH_MAX : epochMax);
      if (problem !== undefined) {
        rejected.push({ id: entry.id, reason: problem });
        continue;
      }
      const heard = storeEntry(entry);
      if (entry.id === this.#id) {
        refuted = this.#refute(heard) || refuted;
        continue;
      }
      const known = this.#entries.get(entry.id);
      if (known !== undefined && compareEntries(heard, known) <= 0) continue;
      if (known === undefined && !this.#makeRoom(nowMs, connected)) {
        rejected.push({ id: entry.id, reason: `the view holds ${LIMITS.topologyNodesMax} nodes already` });
        continue;
      }
      const isRestart = known !== undefined && entry.epoch > known.entry.epoch;
      if (isRestart && entry.id !== from && connected.has(entry.id)) contested.push(entry.id);
      this.#accept(heard);
      changed.push(entry.id);
    }
    return { changed, contested, refuted, ownChanged: this.#own !== ownBefore, rejected };
  }

  /** Nodes that claim an edge to this one without a connection: it is coming up, or of an earlier start of this node. */
  unfoundedClaims(connected: ReadonlySet<string>): string[] {
    return [...this.#entries.values()]
      .filter(({ entry, edges }) => entry.legacy !== true && edges.has(this.#id) && !connected.has(entry.id))
      .map(({ entry }) => entry.id);
  }

  /** Drops entries of nodes that have been absent for long. To be called every few seconds. */
  expire(nowMs: number, connected: Iterable<string> = []): void {
    const overdue = this.#absences.look(this.#entries.keys(), this.present(connected), nowMs);
    for (const id of overdue) this.#forget(id);
  }

  // ---------------------------------------------------------------- comparing views

  /** What this node knows of everybody, absent nodes included: those are not to be sent again. */
  versions(): Versions {
    return new Map([...this.#entries].map(([id, { entry }]) => [id, [entry.epoch, entry.version]]));
  }

  /** Entries that are newer than `versions`, or not in it; as `entriesOf`. */
  newerThan(versions: Versions, to?: string): TopologyEntry[] {
    return this.entriesOf(this.#entries.keys(), to).filter((entry) => {
      const [epoch, version] = versions.get(entry.id) ?? [-1, -1];
      return compareAge(entry, { epoch, version }) > 0;
    });
  }

  /** Ids that `versions` knows newer than this node does, or that it does not know at all. */
  wantedFrom(versions: Versions): string[] {
    return [...versions]
      .filter(([id, [epoch, version]]) => compareAge({ epoch, version }, this.entry(id) ?? NEVER) > 0)
      .map(([id]) => id)
      .slice(0, LIMITS.topologyNodesMax);
  }

  /** The answer to a sync: as many entries as fit one message. The next sync brings the rest. */
  answerSync(sync: TopologySync, to?: string): TopologySynced {
    return {
      kind: 'topology-synced',
      entries: splitBySize(this.newerThan(sync.versions, to), LIMITS.topologyUpdateBytesMax)[0] ?? [],
      wanted: this.wantedFrom(sync.versions),
    };
  }

  /**
   * Entries of those of `ids` that are not long absent: what a sync's `wanted` asks for. One that was never found absent by
   * `expire` may just wait for the entry that links it. An absent one that claims an edge to `to`, who asks, is told: the
   * edge may be of an earlier start of that node, which alone can deny it. And `to` is told of itself: started again with a clock
   * that runs behind, it says what nobody takes for new until it knows.
   */
  entriesOf(ids: Iterable<string>, to = ''): TopologyEntry[] {
    const present = this.present();
    const isAbsent = (id: string) => !present.has(id) && this.#absences.has(id);
    const told = [...ids].filter((id) => id === to || !isAbsent(id) || holds(this.#entries, id, to));
    return told.flatMap((id) => this.entry(id) ?? []);
  }

  // ---------------------------------------------------------------- what is shown

  /** Ids of present nodes: connected with this one over edges that hold, or directly. Unknown ids are left out. */
  present(connected: Iterable<string> = []): ReadonlySet<string> {
    this.#present ??= reachable(this.#entries, [this.#id]);
    const extra = [...connected].filter((id) => this.#entries.has(id) && !this.#present!.has(id));
    return extra.length === 0 ? this.#present : reachable(this.#entries, [this.#id, ...extra]);
  }

  /** 16 hex digits over present nodes and edges, equal where views are equal. Computed after a change only. */
  digest(): string {
    this.#digest ??= digestOf(this.#entries, this.present());
    return this.#digest;
  }

  snapshot(connected: Iterable<string> = []): ViewSnapshot {
    return snapshotOf(this.#entries, this.present(connected), this.digest());
  }

  /** The answer to an old peer's COLLECT_TOPOLOGY. */
  wireView(connected: Iterable<string> = []): TopologyResponse {
    const { nodes, edges } = this.snapshot(connected);
    return toWireView(nodes, edges);
  }

  /** Who was linked with a lost node just before the first sign of its loss; who is now, if there was none. */
  formerLinks(id: string): ReadonlySet<string> {
    return this.#formerLinks.of(this.#entries, id);
  }

  // ---------------------------------------------------------------- inside

  get #own(): StoredEntry {
    return this.#entries.get(this.#id)!;
  }

  #changeOwn(change: Partial<TopologyEntry>): boolean {
    const own = this.#own;
    // A loss has done its work when the lost node's entry is forgotten.
    const lost = change.lost ?? own.entry.lost.filter((loss) => this.#entries.has(loss.id));
    const next = storeEntry({ ...own.entry, ...change, lost, version: own.entry.version + 1 });
    return next.contentText !== own.contentText && this.#accept(next);
  }

  #accept(stored: StoredEntry): boolean {
    const { id } = stored.entry;
    const known = this.#entries.get(id);
    if (known !== undefined) this.#formerLinks.observe(this.#entries, known, stored);
    this.#entries.set(id, stored);
    this.#present = undefined;
    this.#digest = undefined;
    return true;
  }

  /** Raises the own entry above a heard one that claims to be newer, or says something else at the same age. */
  #refute(heard: StoredEntry): boolean {
    const own = this.#own;
    const age = compareAge(heard.entry, own.entry);
    if (age < 0 || (age === 0 && heard.contentText === own.contentText)) return false;
    return this.#accept(storeEntry({ ...own.entry, epoch: heard.entry.epoch + 1, version: 1 }));
  }

  /** Whether one more entry fits; the longest absent one makes room. */
  #makeRoom(nowMs: number, connected: Iterable<string>): boolean {
    if (this.#entries.size < LIMITS.topologyNodesMax) return true;
    this.expire(nowMs, connected);
    const oldest = this.#absences.longest();
    if (oldest !== undefined) this.#forget(oldest);
    return this.#entries.size < LIMITS.topologyNodesMax;
  }

  #forget(id: string): void {
    this.#entries.delete(id);
    this.#absences.forget(id);
    this.#formerLinks.forget(id);
    this.#epochs.forget(id);
  }
}

const NEVER = { epoch: -1, version: -1 };

function edgeList(edges: ReadonlyMap<string, string>): TopologyEntry['edges'] {
  return [...edges].map(([toId, description]) => ({ toId, description }));
}
