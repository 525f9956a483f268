/** One candidate in the pool and what came of it. No timers, no callbacks; candidate-pool.ts is the caller. */
import { compareForDialling, formatAddress, LIMITS, printable } from '../shared/index.js';
import type { Candidate } from './candidate.js';

/** What the node tells after it dialled a candidate. */
export interface CandidateOutcome {
  readonly ok: boolean;
  /** Measured round trip, milliseconds. */
  readonly rttMs?: number;
  /** The id in the hello that was answered there. */
  readonly peerId?: string;
  /** Why the dial failed, a sentence. */
  readonly error?: string;
}

/** One candidate and what is known of it, for people and for `--json`. */
export interface CandidateStatus {
  readonly candidate: Candidate;
  /** `ok`: the last dial led to a peer. */
  readonly state: 'untried' | 'ok' | 'failed';
  /** The peer that answered there, once one did. */
  readonly peerId: string | null;
  /** Smoothed round trip, milliseconds. */
  readonly rttMs: number | null;
  /** What the last failed dial said; null when the last dial worked. */
  readonly error: string | null;
  /** Milliseconds since it was last offered by its module. */
  readonly heardAgoMs: number;
  /** Milliseconds until it is forgotten unless heard again; null: stays until withdrawn. */
  readonly expiresInMs: number | null;
  /** The state in one sentence. */
  readonly reason: string;
}

/** A candidate with its history. Times are `clock.now()`. */
export class CandidateEntry {
  candidate: Candidate;
  heardAtMs: number;
  /** Forgotten then, unless heard again. */
  deadlineMs: number | undefined;
  /** A dial has worked since this address is known. */
  proven = false;
  #state: CandidateStatus['state'] = 'untried';
  #peerId: string | undefined;
  #rttMs: number | undefined;
  #error: string | undefined;

  constructor(candidate: Candidate, nowMs: number, deadlineMs: number | undefined) {
    this.candidate = candidate;
    this.heardAtMs = nowMs;
    this.deadlineMs = deadlineMs;
  }

  /** Never makes room for a stranger: named by the user, or it has worked. */
  get lasting(): boolean {
    return this.candidate.configured || this.proven;
  }

  /** Why it never worked; undefined when it did, or was never tried. */
  get neverReached(): string | undefined {
    return this.proven ? undefined : this.#error;
  }

  /** Offered again. `moved`: to another address, so that what was known of it no longer counts. */
  hear(candidate: Candidate, nowMs: number, deadlineMs: number | undefined): 'same' | 'changed' | 'moved' {
    const before = this.candidate;
    this.candidate = candidate;
    this.heardAtMs = nowMs;
    this.deadlineMs = deadlineMs;
    if (formatAddress(before.address) !== formatAddress(candidate.address)) {
      this.proven = false;
      this.#state = 'untried';
      this.#peerId = undefined;
      this.#rttMs = undefined;
      this.#error = undefined;
      return 'moved';
    }
    return JSON.stringify(before) === JSON.stringify(candidate) ? 'same' : 'changed';
  }

  /** It was dialled. */
  note(outcome: CandidateOutcome): void {
    if (!outcome.ok) {
      this.#state = 'failed';
      this.#error = outcome.error ?? 'the dial failed';
      return;
    }
    this.#state = 'ok';
    this.#error = undefined;
    this.proven = true;
    this.#peerId = outcome.peerId ?? this.#peerId;
    if (outcome.rttMs === undefined) return;
    // TCP's own smoothing (RFC 6298): an eighth of the new sample, so that one late answer moves no path.
    this.#rttMs = this.#rttMs === undefined ? outcome.rttMs : this.#rttMs + (outcome.rttMs - this.#rttMs) / 8;
  }

  /** Whether this is an address of that peer: by what it said itself, else by what was claimed. */
  leadsTo(peerId: string): boolean {
    return (this.#peerId ?? this.candidate.claimedId) === peerId;
  }

  status(nowMs: number): CandidateStatus {
    return {
      candidate: this.candidate,
      state: this.#state,
      peerId: this.#peerId ?? null,
      rttMs: this.#rttMs ?? null,
      error: this.#error ?? null,
      heardAgoMs: nowMs - this.heardAtMs,
      expiresInMs: this.deadlineMs === undefined ? null : Math.max(0, this.deadlineMs - nowMs),
      reason: this.#reason(),
    };
  }

  /** Working before failed, then by priority, then by round trip, then the nearest wire. */
  static compare(a: CandidateEntry, b: CandidateEntry): number {
    return (
      Number(a.#state === 'failed') - Number(b.#state === 'failed') ||
      b.candidate.priority - a.candidate.priority ||
      (a.#rttMs ?? Number.MAX_VALUE) - (b.#rttMs ?? Number.MAX_VALUE) ||
      compareForDialling(a.candidate.address.host, b.candidate.address.host)
    );
  }

  #reason(): string {
    switch (this.#state) {
      case 'untried':
        return 'heard, not dialled yet';
      case 'ok':
        return this.#peerId === undefined || this.#peerId === this.candidate.claimedId
          ? 'works'
          : `works; the node there calls itself "${printable(this.#peerId, LIMITS.nodeIdCharsMax)}"`;
      case 'failed':
        return printable(this.#error ?? 'the dial failed', 500);
    }
  }
}

/** A candidate in words: id and address. */
export function where(candidate: Candidate): string {
  return `${printable(candidate.claimedId, LIMITS.nodeIdCharsMax)} at ${formatAddress(candidate.address)}`;
}
