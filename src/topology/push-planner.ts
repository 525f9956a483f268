/**
 * What to send to which neighbour, and when: batches changes, applies the rules of `recipients.ts`, and keeps
 * a mesh with a duplicate id from shouting. Pure: the owner asks `nextDueMs`, sets one timer, and sends what
 * `take` returns. Neighbours are connected nodes that speak the topology extension; old peers are not among them.
 */
import type { TopologyEntry } from '../protocol/index.js';
import { LIMITS } from '../shared/index.js';
import { compareAge, splitBySize } from './entry.js';
import { linked } from './reach.js';
import { type OwnChange, ownChange, planOwn, recipients } from './recipients.js';
import type { MergeResult, TopologyView } from './view.js';

/** One update to send. */
export interface Push {
  readonly to: string;
  readonly entries: readonly TopologyEntry[];
  /** Ids of those entries that the receiver is to pass to all its neighbours. */
  readonly spread: readonly string[];
}

/** How long changes wait, in milliseconds. */
export interface PushPlannerOptions {
  /** @default LIMITS.topologyPushDelayMs */
  readonly delayMs?: number;
  /** @default LIMITS.topologySettleMs */
  readonly settleMs?: number;
}

/** An entry heard and not yet passed on. */
interface Heard {
  readonly dueMs: number;
  /** Neighbours known to have it. */
  readonly from: Set<string>;
}

type Post = (to: string, id: string, spread?: boolean) => void;

/** Two machines with one id refute each other forever; each further refutation within a minute waits twice as long. */
const REFUTE_CALM_MS = 60_000;
const REFUTE_DELAY_MS_MAX = 30_000;

/** What was sent longer ago over a connection that broke had arrived: no silence is borne longer, unless somebody vouches. */
const ASKED_MS = LIMITS.deadAfterMs;

/** The outgoing side of one node's gossip. */
export class PushPlanner {
  readonly #view: TopologyView;
  readonly #delayMs: number;
  readonly #settleMs: number;
  /** The own entry as the neighbours were last told it. */
  #told: TopologyEntry;
  /** Far ends of own edges that came or went since then: who was greeted meanwhile may have heard what is no longer so. */
  readonly #touched = new Set<string>();
  /** When the own entry and what is to be spread goes out: after a quiet `delayMs`, at the latest `settleMs` after the first. */
  #batch: { readonly startMs: number; readonly dueMs: number } | undefined;
  #refutedAtMs = Number.NEGATIVE_INFINITY;
  #refuteDelayMs: number;
  readonly #heard = new Map<string, Heard>();
  /** Entries to pass to all neighbours, and who has them. */
  readonly #spread = new Map<string, Set<string>>();
  /** Entries passed to all neighbours lately, and when: a neighbour that came a moment later gets them too. */
  readonly #spreadAtMs = new Map<string, number>();
  /** New neighbours that are to hear the own entry. */
  readonly #greet = new Set<string>();
  /** Newcomers that are to announce an edge of this node, and since when; at once, so that they tell all edges in one go. */
  readonly #handOver = new Map<string, number>();
  /** New neighbours that missed what was passed to all just before. */
  readonly #latecomers = new Set<string>();
  /** Neighbours that are to hear at once what another said of them, and since when. */
  readonly #contested = new Map<string, number>();
  /** When to look whether a newcomer announced its edge, by newcomer, and the own entry that it was given to announce. */
  readonly #settling = new Map<string, { readonly dueMs: number; readonly given: TopologyEntry }>();

  /** Neighbours that were asked to pass the own entry on: when, and whether it was to announce an edge to themselves. */
  readonly #asked = new Map<string, { readonly atMs: number; readonly isEdge: boolean }>();
  /** One of them may not have done it: all are told. */
  #tellsAll = false;

  /** Neighbours that started later than this node, and when they came: they are still making their connections. */
  readonly #arrivedAtMs = new Map<string, number>();

  constructor(view: TopologyView, options: PushPlannerOptions = {}) {
    this.#view = view;
    this.#told = view.own;
    this.#delayMs = options.delayMs ?? LIMITS.topologyPushDelayMs;
    this.#settleMs = options.settleMs ?? LIMITS.topologySettleMs;
    this.#refuteDelayMs = this.#delayMs;
  }

  /**
   * A connection is up, its hello was given to `view.introduce`, and `view.addEdge` or `view.clearLost` was called. The
   * side that started later tells its own entry; an older one that dialled hands the announcement of the edge over.
   */
  connected(neighbour: string, nowMs: number): void {
    const own = this.#view.own;
    for (const [id, atMs] of this.#arrivedAtMs) {
      if (nowMs - atMs > 2 * this.#settleMs) this.#arrivedAtMs.delete(id);
    }
    const isLater = (this.#view.entry(neighbour)?.epoch ?? 0) > own.epoch;
    if (isLater) this.#arrivedAtMs.set(neighbour, nowMs);
    if (!isLater) {
      this.#greet.add(neighbour);
      this.ownChanged(nowMs);
    } else if (own.edges.some((edge) => edge.toId === neighbour)) {
      this.#handOver.set(neighbour, nowMs);
    }
    for (const [id, atMs] of this.#spreadAtMs) {
      if (nowMs - atMs > 2 * this.#settleMs) this.#spreadAtMs.delete(id);
    }
    if (this.#spreadAtMs.size > 0) {
      this.#latecomers.add(neighbour);
      this.ownChanged(nowMs);
    }
  }

  /**
   * The last connection to a neighbour broke, and it is back, or gone for good: it may not have heard what it was asked to pass
   * on just before. An edge to one that is gone need not be announced.
   */
  broke(neighbour: string, isBack: boolean, nowMs: number): void {
    const asked = this.#asked.get(neighbour);
    this.#asked.delete(neighbour);
    if (asked === undefined || nowMs - asked.atMs > ASKED_MS || (asked.isEdge && !isBack)) return;
    this.#tellsAll = true;
    this.ownChanged(nowMs);
  }

  /** The own entry of the view changed. */
  ownChanged(nowMs: number): void {
    const { added, gone } = ownChange(this.#told, this.#view.own);
    for (const id of [...added, ...gone]) this.#touched.add(id);
    const startMs = this.#batch?.startMs ?? nowMs;
    this.#batch = { startMs, dueMs: Math.min(startMs + this.#settleMs, nowMs + this.#delayMs) };
  }

  /**
   * Takes in a received update (0x52, or the entries of a 0x55) and notes what has to be passed on.
   * `spread` is what the sender asked to pass to all.
   */
  receive(
    update: { readonly entries: readonly TopologyEntry[]; readonly spread?: readonly string[] },
    from: string,
    nowMs: number,
    neighbours: ReadonlySet<string>,
  ): MergeResult {
    const result = this.#view.merge(update.entries, nowMs, neighbours, from);
    for (const id of result.contested) this.#contested.set(id, nowMs);
    const changed = new Set(result.changed);
    const spread = new Set(update.spread ?? []);
    for (const entry of update.entries) {
      const current = this.#view.entry(entry.id);
      if (entry.id === this.#view.id || current === undefined) continue;
      // An older one tells nothing, but the duty to pass the entry on stands.
      const isCurrent = current.epoch === entry.epoch && current.version === entry.version;
      if (!isCurrent && !spread.has(entry.id)) continue;
      this.#note(entry.id, from, changed.has(entry.id), spread.has(entry.id), nowMs);
    }
    if (result.refuted) this.#refuted(nowMs);
    else if (result.ownChanged) this.ownChanged(nowMs);
    return result;
  }

  /** When `take` has something to do, or undefined. */
  nextDueMs(): number | undefined {
    const dues = [
      ...this.#handOver.values(),
      ...this.#contested.values(),
      ...[...this.#settling.values(), ...this.#heard.values()].map(({ dueMs }) => dueMs),
      ...(this.#batch === undefined ? [] : [this.#batch.dueMs]),
    ];
    return dues.length === 0 ? undefined : dues.reduce((a, b) => Math.min(a, b));
  }

  /** What is to be sent now. The entries are the newest known, whatever changed meanwhile. */
  take(nowMs: number, neighbours: ReadonlySet<string>): Push[] {
    const outbox = new Map<string, Map<string, boolean>>();
    const post: Post = (to, id, spread = false) => {
      const entries = outbox.get(to) ?? new Map<string, boolean>();
      outbox.set(to, entries.set(id, spread || (entries.get(id) ?? false)));
    };
    for (const newcomer of this.#handOver.keys()) {
      if (neighbours.has(newcomer)) this.#handOverTo(newcomer, nowMs, post);
    }
    this.#handOver.clear();
    for (const id of this.#contested.keys()) if (neighbours.has(id)) post(id, id);
    this.#contested.clear();
    if (this.#batch !== undefined && this.#batch.dueMs <= nowMs) {
      this.#batch = undefined;
      this.#takeOwn(nowMs, neighbours, post);
      this.#takeSpread(nowMs, neighbours, post);
    }
    this.#takeSettled(nowMs, neighbours, post);
    for (const [id, heard] of this.#heard) {
      if (heard.dueMs > nowMs) continue;
      this.#heard.delete(id);
      // It announces itself, and whom it misses is told when it had its time.
      if (this.#settling.has(id)) continue;
      for (const to of recipients(this.#view, id, neighbours)) if (!heard.from.has(to)) post(to, id);
    }
    return [...outbox].flatMap(([to, entries]) => this.#messages(to, entries));
  }

  /** An entry that is now the newest known was heard. */
  #note(id: string, from: string, isNew: boolean, spread: boolean, nowMs: number): void {
    if (spread) {
      const has = isNew ? new Set<string>() : (this.#spread.get(id) ?? new Set<string>());
      this.#spread.set(id, has.add(from));
      this.#heard.delete(id);
      this.ownChanged(nowMs);
    } else if (this.#spread.has(id)) {
      if (isNew) this.#spread.set(id, new Set([from]));
      else this.#spread.get(id)!.add(from);
    } else if (isNew) {
      // What a newcomer says first names few of its edges; passed on at once, everybody would tell it to everybody.
      const settledMs = (this.#arrivedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) + 2 * this.#settleMs;
      const dueMs = this.#heard.get(id)?.dueMs ?? Math.max(nowMs + this.#delayMs, settledMs);
      this.#heard.set(id, { dueMs, from: new Set([from]) });
    } else this.#heard.get(id)?.from.add(from);
  }

  #handOverTo(newcomer: string, nowMs: number, post: Post): void {
    post(newcomer, this.#view.id, true);
    this.#asked.set(newcomer, { atMs: nowMs, isEdge: true });
    // Twice the time that the newcomer may gather, so that its announcement is here.
    this.#settling.set(newcomer, { dueMs: nowMs + 2 * this.#settleMs, given: this.#view.own });
  }

  #takeOwn(nowMs: number, neighbours: ReadonlySet<string>, post: Post): void {
    const own = this.#view.own;
    for (const id of this.#greet) {
      if (neighbours.has(id)) post(id, own.id);
    }
    this.#greet.clear();
    const change = ownChange(this.#told, own);
    const other = change.other || this.#tellsAll || this.#isBack(change);
    this.#tellsAll = false;
    const plan = planOwn(this.#view, { ...change, other }, neighbours);
    for (const id of plan.now) post(id, own.id, plan.delegates.has(id));
    for (const id of plan.delegates) this.#asked.set(id, { atMs: nowMs, isEdge: false });
    for (const id of plan.newcomers) {
      // What it was given before everybody was told that the edge is gone announces nothing any more.
      const given = this.#settling.get(id)?.given;
      if (given === undefined || compareAge(given, this.#told) <= 0) this.#handOverTo(id, nowMs, post);
    }
    this.#told = own;
    this.#touched.clear();
  }

  /** Whether an edge came and went again, or the other way round, since the neighbours were told. */
  #isBack({ added, gone }: OwnChange): boolean {
    const net = new Set([...added, ...gone]);
    return [...this.#touched].some((id) => !net.has(id));
  }

  #takeSpread(nowMs: number, neighbours: ReadonlySet<string>, post: Post): void {
    for (const to of this.#latecomers) {
      if (!neighbours.has(to)) continue;
      for (const id of this.#spreadAtMs.keys()) if (id !== to) post(to, id);
    }
    this.#latecomers.clear();
    for (const [id, has] of this.#spread) {
      for (const to of neighbours) if (to !== id && !has.has(to)) post(to, id);
      this.#spreadAtMs.set(id, nowMs);
    }
    this.#spread.clear();
  }

  /** Newcomers that had their time: neighbours that they are not linked with hear of them from here. */
  #takeSettled(nowMs: number, neighbours: ReadonlySet<string>, post: Post): void {
    for (const [newcomer, { dueMs }] of this.#settling) {
      if (dueMs > nowMs) continue;
      this.#settling.delete(newcomer);
      for (const id of neighbours) {
        if (id === newcomer || linked(this.#view.entries, newcomer, id)) continue;
        post(id, this.#view.id);
        post(id, newcomer);
      }
    }
  }

  #refuted(nowMs: number): void {
    const calm = nowMs - this.#refutedAtMs > REFUTE_CALM_MS;
    this.#refuteDelayMs = calm ? this.#delayMs : Math.min(REFUTE_DELAY_MS_MAX, this.#refuteDelayMs * 2);
    this.#refutedAtMs = nowMs;
    this.#batch = { startMs: nowMs, dueMs: nowMs + this.#refuteDelayMs };
  }

  #messages(to: string, spreadOf: ReadonlyMap<string, boolean>): Push[] {
    const entries = [...spreadOf.keys()].flatMap((id) => this.#view.entry(id) ?? []);
    return splitBySize(entries, LIMITS.topologyUpdateBytesMax).map((part) => ({
      to,
      entries: part,
      spread: part.map((entry) => entry.id).filter((id) => spreadOf.get(id)),
    }));
  }
}
