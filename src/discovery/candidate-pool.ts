/**
 * Every address that might lead to a peer, from all modules: filtered, bounded, forgotten in time, and with
 * what came of it when the node dialled. It dials nothing and proves nothing; modules put in, the node takes out.
 */
import {
  type Clock,
  formatAddress,
  LIMITS,
  type Logger,
  printable,
  type Random,
  type Sheds,
  type TimerHandle,
  TokenBucket,
} from '../shared/index.js';
import type { Candidate, CandidateSink, NewRefusal, Refusal } from './candidate.js';
import { CandidateEntry, type CandidateOutcome, type CandidateStatus, where } from './candidate-entry.js';
import { FloodGate } from './flood-gate.js';
import { RefusalLog } from './refusal-log.js';

/** Which candidates are wanted. Empty filters let everything pass. */
export interface CandidatePoolOptions {
  readonly nodeId: string;
  /** `--node-id-filter`: applies to announced ids (the name of a configured peer is only an alias). */
  readonly nodeIdFilter: readonly string[];
  /** `--interface-type-filter`, compared without case. */
  readonly interfaceTypeFilter: readonly string[];
}

/** Who is told. */
export interface CandidatePoolComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A new candidate, or a known one with another address or description. */
  onCandidate(candidate: Candidate): void;
  /** A known candidate was announced again, unchanged. */
  onHeard?(candidate: Candidate): void;
  /** Forgotten: withdrawn, expired, or made room. */
  onWithdrawn(key: string): void;
  /** Another node announces this node's id; told every time it is heard. */
  onDuplicateId?(candidate: Candidate): void;
  /** Where announcements that are not let in are counted. */
  readonly sheds?: Sheds | undefined;
}

/** Log lines about refusals, a second and at once; the list itself has them all. */
const REFUSAL_LINES = { perSecond: 0.5, burst: 20 };

/** The pool. `close` cancels its timer and forgets everything without telling anyone. */
export class CandidatePool implements CandidateSink {
  readonly #options: CandidatePoolOptions;
  readonly #c: CandidatePoolComponents;
  /** In the order of the last hearing, oldest first. */
  readonly #entries = new Map<string, CandidateEntry>();
  readonly #refusals: RefusalLog;
  readonly #gate: FloodGate;
  readonly #refusalLines: TokenBucket;
  readonly #interfaceTypes: ReadonlySet<string>;
  #provenHosts: ReadonlySet<string> | undefined;
  #timer: { readonly handle: TimerHandle; readonly atMs: number } | undefined;

  constructor(options: CandidatePoolOptions, components: CandidatePoolComponents) {
    this.#options = options;
    this.#c = components;
    this.#refusals = new RefusalLog(
      {
        entriesMax: LIMITS.refusalsMax,
        perStrangerMax: LIMITS.refusalsPerStrangerMax,
        perKnownMax: LIMITS.refusalsPerKnownHostMax,
      },
      { clock: components.clock, isKnown: (host) => this.#isKnownHost(host) },
    );
    this.#gate = new FloodGate(components.random, components.clock.now());
    this.#refusalLines = new TokenBucket(
      REFUSAL_LINES.perSecond,
      REFUSAL_LINES.burst,
      components.clock.now(),
    );
    this.#interfaceTypes = new Set(options.interfaceTypeFilter.map((type) => type.toLowerCase()));
  }

  offer(candidate: Candidate, options: { readonly expiresInMs?: number } = {}): void {
    if (!this.#wanted(candidate)) return;
    const nowMs = this.#c.clock.now();
    const deadlineMs = options.expiresInMs === undefined ? undefined : nowMs + options.expiresInMs;
    const known = this.#entries.get(candidate.key);
    if (known !== undefined) {
      this.#again(known, candidate, nowMs, deadlineMs);
    } else {
      if (!this.#admit(candidate, nowMs)) return;
      this.#entries.set(candidate.key, new CandidateEntry(candidate, nowMs, deadlineMs));
      this.#c.logger.debug('candidate-heard', {
        candidate: where(candidate),
        description: candidate.description,
      });
      this.#c.onCandidate(candidate);
    }
    this.#arm(deadlineMs);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  withdraw(key: string): void {
    this.#drop(key);
  }

  refuse(refusal: NewRefusal): void {
    if (this.#refusals.add(refusal) && this.#refusalLines.take(this.#c.clock.now())) {
      const { module, subject, code, reason } = refusal;
      this.#c.logger.info('candidate-refused', { module, subject, code, reason });
    }
  }

  unrefuse(subject: string): void {
    this.#refusals.forget(subject);
  }

  /** What came of dialling a candidate. A key that is gone is ignored. */
  noteOutcome(key: string, outcome: CandidateOutcome): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (outcome.ok && !entry.proven) this.#provenHosts = undefined;
    entry.note(outcome);
    if (outcome.ok) return;
    if (!entry.candidate.configured && !entry.proven && this.#gate.isClosed(this.#c.clock.now())) {
      // Under a flood a made-up address must not hold a place in the dial queue; a real node is heard again.
      this.#drop(key);
    }
  }

  /** Whether candidates of this host have led to peers: their announcements are never starved by strangers'. */
  isProvenHost(host: string): boolean {
    this.#provenHosts ??= new Set(
      [...this.#entries.values()]
        .filter((entry) => entry.proven)
        .map((entry) => entry.candidate.address.host),
    );
    return this.#provenHosts.has(host);
  }

  /** Whether what is at this host is configured, or has led to a peer. */
  #isKnownHost(host: string): boolean {
    if (this.isProvenHost(host)) return true;
    for (const { candidate } of this.#entries.values()) {
      if (candidate.configured && candidate.address.host === host) return true;
    }
    return false;
  }

  /** Hosts where tcp asks first: those that the user named, and those that answered before. */
  hostsToAsk(): string[] {
    const hosts = new Set<string>();
    for (const { candidate } of this.#entries.values()) {
      if (candidate.configured || candidate.module === 'tcp') hosts.add(candidate.address.host);
    }
    return [...hosts];
  }

  /** Whether `--node-id-filter` lets this id in; the node asks it again with the id of a hello. */
  allowsId(id: string): boolean {
    return this.#options.nodeIdFilter.length === 0 || this.#options.nodeIdFilter.includes(id);
  }

  /** The addresses of a peer, best first: those that work, by priority, then by measured round trip. */
  bestFor(peerId: string): Candidate[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.leadsTo(peerId))
      .sort(CandidateEntry.compare)
      .map((entry) => entry.candidate);
  }

  /** Every candidate with what came of it, oldest hearing first. */
  candidates(): CandidateStatus[] {
    const nowMs = this.#c.clock.now();
    return [...this.#entries.values()].map((entry) => entry.status(nowMs));
  }

  /** Refusals, newest last. */
  refusals(): readonly Refusal[] {
    return this.#refusals.list();
  }

  get size(): number {
    return this.#entries.size;
  }

  close(): void {
    this.#timer?.handle.cancel();
    this.#timer = undefined;
    this.#entries.clear();
    this.#provenHosts = undefined;
  }

  /** Own id and filters, with the refusal in words. */
  #wanted(candidate: Candidate): boolean {
    const id = printable(candidate.claimedId, LIMITS.nodeIdCharsMax);
    const subject = where(candidate);
    const refuse = (code: Refusal['code'], reason: string) =>
      this.refuse({ module: candidate.module, subject, code, reason, ...sourceOf(candidate) });
    if (!candidate.configured && candidate.claimedId === this.#options.nodeId) {
      refuse(
        'duplicate-id',
        `${formatAddress(candidate.address)} announces this node's own id "${id}"; start one of the two with another --node-id`,
      );
      this.#c.onDuplicateId?.(candidate);
      return false;
    }
    if (!candidate.configured && !this.allowsId(candidate.claimedId)) {
      refuse('id-filtered', `the id "${id}" is not in --node-id-filter; add it there to let this node in`);
      return false;
    }
    const type = candidate.interfaceType;
    if (
      type !== undefined &&
      this.#interfaceTypes.size > 0 &&
      !this.#interfaceTypes.has(type.toLowerCase())
    ) {
      refuse(
        'interface-filtered',
        `it was heard over an interface of type "${printable(type, 40)}", which is not in --interface-type-filter`,
      );
      return false;
    }
    return true;
  }

  #again(entry: CandidateEntry, candidate: Candidate, nowMs: number, deadlineMs: number | undefined): void {
    const change = entry.hear(candidate, nowMs, deadlineMs);
    this.#entries.delete(candidate.key);
    this.#entries.set(candidate.key, entry);
    if (change === 'moved') this.#provenHosts = undefined;
    if (change === 'same') this.#c.onHeard?.(candidate);
    else this.#c.onCandidate(candidate);
  }

  /** Whether there is a place for a new candidate; makes one where that is fair. */
  #admit(candidate: Candidate, nowMs: number): boolean {
    if (candidate.module === 'udp' && !this.#gate.admit(candidate.key, nowMs)) {
      this.#c.sheds?.add('newcomer-flood');
      this.refuse({
        module: 'udp',
        subject: 'announcements',
        code: 'overloaded',
        reason: `more than ${LIMITS.newcomersPerSecond} new nodes a second announce themselves; while that lasts only those that repeat themselves are dialled`,
      });
      return false;
    }
    if (!candidate.configured) {
      const host = candidate.address.host;
      const ofHost = this.#keys((entry) => !entry.lasting && entry.candidate.address.host === host);
      if (ofHost.length >= LIMITS.candidatesPerHostMax) this.#drop(ofHost[0]!);
    }
    if (this.#entries.size < LIMITS.candidatesMax) return true;
    const oldest =
      this.#keys((entry) => !entry.lasting)[0] ?? this.#keys((entry) => !entry.candidate.configured)[0];
    if (oldest === undefined) {
      this.refuse({
        module: candidate.module,
        subject: where(candidate),
        ...sourceOf(candidate),
        code: 'overloaded',
        reason: `${LIMITS.candidatesMax} peers are configured already, which is the most this node keeps`,
      });
      return false;
    }
    this.#drop(oldest);
    return true;
  }

  #keys(wanted: (entry: CandidateEntry) => boolean): string[] {
    const keys: string[] = [];
    for (const [key, entry] of this.#entries) if (wanted(entry)) keys.push(key);
    return keys;
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (entry.proven) this.#provenHosts = undefined;
    this.#c.onWithdrawn(key);
  }

  /** One timer, for the earliest deadline; a renewed one only makes it fire once for nothing. */
  #arm(deadlineMs: number | undefined): void {
    if (deadlineMs === undefined || (this.#timer !== undefined && this.#timer.atMs <= deadlineMs)) return;
    this.#timer?.handle.cancel();
    const delayMs = Math.max(0, deadlineMs - this.#c.clock.now());
    this.#timer = { handle: this.#c.clock.after(delayMs, () => this.#expire()), atMs: deadlineMs };
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#c.clock.now();
    let nextMs: number | undefined;
    for (const [key, entry] of [...this.#entries]) {
      if (entry.deadlineMs === undefined) continue;
      if (entry.deadlineMs > nowMs) {
        nextMs = Math.min(nextMs ?? entry.deadlineMs, entry.deadlineMs);
        continue;
      }
      const error = entry.neverReached;
      if (error !== undefined) {
        this.refuse({
          module: entry.candidate.module,
          subject: where(entry.candidate),
          ...sourceOf(entry.candidate),
          code: 'connect-failed',
          reason: `it announced itself but could not be reached (${error}), and is silent now; check that its --node-port is open to this machine`,
        });
      }
      this.#c.logger.debug('candidate-expired', { candidate: where(entry.candidate) });
      this.#drop(key);
    }
    this.#arm(nextMs);
  }
}

/** Whose doing a candidate is, for the list of refusals. */
function sourceOf({ configured, address }: Candidate): { readonly source?: string } {
  return configured ? {} : { source: address.host };
}
