/**
 * Keeps a connection to every candidate, or knows in words why there is none. Retries with full jitter below
 * a ceiling that grows with the outage, and at once when anything is heard of the peer. It owns timers and
 * dials; what a connection means is the business of the function that it is given (`introduce`).
 */
import type { Candidate } from '../discovery/index.js';
import {
  type Clock,
  ExoError,
  fullJitterMs,
  LIMITS,
  type Logger,
  type Random,
  type Startable,
  type TimerHandle,
  toExoError,
} from '../shared/index.js';
import { Target } from './target.js';

/** What came of one dial. */
export interface DialOutcome {
  readonly peerId: string;
  /** False when the peer is reached over another connection that is preferred. */
  readonly inUse: boolean;
  readonly rttMs: number;
}

/** What the dialer needs. */
export interface DialerComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Connects, says hello and hands the connection to the peer table. */
  introduce(target: Target, signal: AbortSignal): Promise<DialOutcome>;
  /** Whether this peer is reached now. */
  isUp(peerId: string): boolean;
  /** Told after every try, so that the reasons can be shown. */
  onOutcome(target: Target, outcome: DialOutcome | ExoError): void;
}

/** A refusal that a retry seldom mends is tried again after this long. */
const PARKED_MS = 30_000;

const PARKING = new Set([
  'self-address',
  'duplicate-id',
  'id-filtered',
  'interface-filtered',
  'auth-required',
  'auth-failed',
  'identity-changed',
]);

/** A connection that lived shorter than this counts as a failed try (syncthing's rule), or two broken ends would spin. */
const SHORT_LIFE_MS = 3_000;

/** However often a peer is heard of, its address is not dialled more often for that. */
const HINT_GAP_MS = 1_000;

const BACKOFF = {
  ceilingMsMin: LIMITS.redialCeilingMsMin,
  ceilingMsMax: LIMITS.redialCeilingMsMax,
  share: 0.25,
};

/** The dial queue and the schedule of all targets. */
export class Dialer implements Startable {
  readonly #c: DialerComponents;
  readonly #targets = new Map<string, Target>();
  readonly #timers = new Map<Target, TimerHandle>();
  readonly #queue = new Set<Target>();
  readonly #running = new Set<Promise<void>>();
  readonly #dialling = new Map<Target, AbortController>();
  #stopped = false;

  constructor(components: DialerComponents) {
    this.#c = components;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const abort of this.#dialling.values()) {
      abort.abort(new ExoError('request-cancelled', 'the node stops'));
    }
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#queue.clear();
    this.#targets.clear();
    await Promise.allSettled(this.#running);
  }

  /** A candidate was heard, or heard again. A changed address is dialled at once. */
  offer(candidate: Candidate): void {
    if (this.#stopped) return;
    const known = this.#targets.get(candidate.key);
    if (known === undefined) {
      const target = new Target(candidate, this.#c.clock.now());
      this.#targets.set(candidate.key, target);
      this.#enqueue(target);
      return;
    }
    const isMoved = moved(known.candidate, candidate);
    known.candidate = candidate;
    if (!isMoved) return;
    known.peerId = undefined;
    known.lostAtMs = this.#c.clock.now();
    if (known.state !== 'dialling') this.#retryNow(known);
  }

  /** The candidate is no longer configured or heard. Returns the target that was dropped. */
  withdraw(key: string): Target | undefined {
    const target = this.#targets.get(key);
    if (target === undefined) return undefined;
    this.#targets.delete(key);
    this.#queue.delete(target);
    this.#cancelTimer(target);
    this.#dialling.get(target)?.abort(new ExoError('request-cancelled', 'the address was withdrawn'));
    return target;
  }

  /** A peer went away: every address that led to it is tried at once. */
  peerDown(peerId: string): void {
    const now = this.#c.clock.now();
    for (const target of this.#targets.values()) {
      if (target.peerId !== peerId) continue;
      if (target.state !== 'connected' && target.state !== 'resting') continue;
      if (target.upAtMs !== undefined && now - target.upAtMs < SHORT_LIFE_MS) {
        target.become('waiting');
        this.#schedule(target, this.#delayMs(target));
        continue;
      }
      target.lostAtMs = now;
      this.#retryNow(target);
    }
  }

  /** The connection of a target ended while its peer is still reached otherwise. */
  rest(target: Target): void {
    if (target.state === 'connected') target.become('resting');
  }

  /** Something was heard of this peer, host, or of old peers: waiting addresses that may lead there are tried now. */
  hint(heard: { readonly peerId?: string; readonly host?: string }): void {
    const now = this.#c.clock.now();
    for (const target of this.#targets.values()) {
      if (target.state !== 'waiting' || now - target.dialledAtMs < HINT_GAP_MS) continue;
      const fits =
        (heard.peerId !== undefined &&
          (target.peerId === heard.peerId || target.candidate.claimedId === heard.peerId)) ||
        (heard.host !== undefined && target.address.host === heard.host);
      if (fits && !(target.peerId !== undefined && this.#c.isUp(target.peerId))) this.#retryNow(target);
    }
  }

  /** The way to these addresses has just been opened: those that wait are dialled at once. */
  retry(fits: (target: Target) => boolean): void {
    if (this.#stopped) return;
    for (const target of this.#targets.values()) {
      if ((target.state !== 'waiting' && target.state !== 'dialling') || !fits(target)) continue;
      if (target.peerId !== undefined && this.#c.isUp(target.peerId)) continue;
      // What failed before was the way: a try that fails now begins a new outage.
      target.lostAtMs = this.#c.clock.now();
      if (target.state === 'waiting') this.#retryNow(target);
    }
  }

  /** What may have been in the way (keys, trust) is different now: those that were refused are dialled at once. */
  retryParked(): void {
    if (this.#stopped) return;
    for (const target of this.#targets.values()) if (target.state === 'parked') this.#retryNow(target);
  }

  /** Whether an address that leads to this peer, or is configured as its, is being dialled or is the next to be. */
  isDialling(peerId: string): boolean {
    for (const target of this.#targets.values()) {
      const { candidate } = target;
      // What a datagram claims holds nothing up.
      const leadsTo = target.peerId ?? (candidate.configured ? candidate.claimedId : undefined);
      if (leadsTo === peerId && (target.state === 'dialling' || this.#queue.has(target))) return true;
    }
    return false;
  }

  /** Every target, for people. */
  targets(): IterableIterator<Target> {
    return this.#targets.values();
  }

  get(key: string): Target | undefined {
    return this.#targets.get(key);
  }

  #retryNow(target: Target): void {
    if (target.state !== 'waiting') target.become('waiting');
    this.#cancelTimer(target);
    this.#enqueue(target);
  }

  #enqueue(target: Target): void {
    this.#queue.add(target);
    this.#drain();
  }

  #drain(): void {
    for (const target of this.#queue) {
      if (this.#running.size >= LIMITS.dialsInFlight || this.#stopped) return;
      this.#queue.delete(target);
      const run = this.#dial(target)
        .catch((error: unknown) => this.#c.logger.error('dial-fault', { to: target.key, error }))
        .finally(() => {
          this.#running.delete(run);
          this.#drain();
        });
      this.#running.add(run);
    }
  }

  async #dial(target: Target): Promise<void> {
    target.become('dialling');
    target.dialledAtMs = this.#c.clock.now();
    const dialled = target.candidate;
    const abort = new AbortController();
    this.#dialling.set(target, abort);
    let outcome: DialOutcome | ExoError;
    try {
      outcome = await this.#c.introduce(target, abort.signal);
    } catch (error) {
      outcome = toExoError(error, 'connect-failed');
    } finally {
      this.#dialling.delete(target);
    }
    // Stopped, or withdrawn.
    if (abort.signal.aborted) return;
    if (moved(target.candidate, dialled)) {
      target.become('waiting');
      this.#enqueue(target);
      return;
    }
    this.#settle(target, outcome);
    this.#c.onOutcome(target, outcome);
  }

  #settle(target: Target, outcome: DialOutcome | ExoError): void {
    if (!(outcome instanceof ExoError)) {
      target.peerId = outcome.peerId;
      target.lastError = undefined;
      if (this.#c.isUp(outcome.peerId)) {
        target.upAtMs = this.#c.clock.now();
        target.become(outcome.inUse ? 'connected' : 'resting');
      } else {
        // It answered and was gone again before this line: a failed try, the backoff goes on.
        target.become('waiting');
        this.#schedule(target, this.#delayMs(target));
      }
      return;
    }
    target.lastError = outcome;
    if (target.peerId !== undefined && this.#c.isUp(target.peerId)) {
      target.become('resting');
    } else if (PARKING.has(outcome.code)) {
      target.become('parked');
      this.#schedule(target, PARKED_MS);
    } else {
      target.become('waiting');
      this.#schedule(target, this.#delayMs(target));
    }
  }

  #delayMs(target: Target): number {
    return fullJitterMs(BACKOFF, this.#c.clock.now() - target.lostAtMs, this.#c.random);
  }

  #schedule(target: Target, delayMs: number): void {
    this.#cancelTimer(target);
    target.nextDialAtMs = this.#c.clock.now() + delayMs;
    this.#timers.set(
      target,
      this.#c.clock.after(delayMs, () => {
        this.#timers.delete(target);
        if (target.state === 'parked') target.become('waiting');
        if (target.state === 'waiting') this.#enqueue(target);
      }),
    );
  }

  #cancelTimer(target: Target): void {
    this.#timers.get(target)?.cancel();
    this.#timers.delete(target);
    target.nextDialAtMs = undefined;
  }
}

function moved(a: Candidate, b: Candidate): boolean {
  return a.address.host !== b.address.host || a.address.port !== b.address.port;
}
