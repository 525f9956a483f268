/**
 * The wait for the next session of a tunnel: when it is tried, whether a knock goes before it, and whether an old session
 * of ours on the far machine has to be ended first. Pure; the part of the supervisor that works in `backoff`.
 */
import { LIMITS } from '../../shared/index.js';
import type { TunnelFailureCode } from '../failure.js';
import type { TunnelStatus } from '../tunnel-status.js';
import { RetryPlan } from './retry-plan.js';
import type { Step } from './step.js';

/** A session that has ended, as far as it matters for the next. */
export interface EndedSession {
  readonly startedAtMs: number;
  /** It was proven, or stood for a while. */
  readonly worked: boolean;
  /** A knock had been answered before it. */
  readonly knocked: boolean;
}

/** No TCP connection came about: what a knock can tell as well. */
const UNREACHED = new Set<TunnelStatus['code']>([
  'resolve-failed',
  'connect-refused',
  'connect-timeout',
  'network-unreachable',
]);
/** The path went silent: a knock tells sooner than ssh whether it is back. */
const SILENT = new Set<TunnelStatus['code']>(['keepalive-timeout', 'probe-timeout']);

/** However often the far side is heard of, ssh is not started more often for it. */
const HINT_GAP_MS = 2_000;

/** One per tunnel. Times are `clock.now()`. */
export class NextTry {
  readonly #step: Step;
  readonly #plan = new RetryPlan();
  #atMs: number | undefined;
  #knockFirst = false;
  #knock: number | undefined;
  #eviction: number | undefined;
  #farPid: number | undefined;
  #lastTryAtMs = Number.NEGATIVE_INFINITY;

  constructor(step: Step, farPid: number | undefined) {
    this.#step = step;
    this.#farPid = farPid;
  }

  /** When something is due; undefined while a knock or an eviction is on its way, and when nothing is planned. */
  get atMs(): number | undefined {
    return this.#knock === undefined && this.#eviction === undefined ? this.#atMs : undefined;
  }

  get knockFirst(): boolean {
    return this.#knockFirst;
  }

  /** Plans the try after a session that ended with this code. Returns whether it is due at once. */
  after(session: EndedSession, code: TunnelFailureCode): boolean {
    const { nowMs, chance } = this.#step;
    const unreached = UNREACHED.has(code);
    this.#knockFirst = unreached || SILENT.has(code);
    let delayMs: number;
    if (unreached && !session.knocked) delayMs = this.#plan.knockGap(nowMs, chance);
    else if (session.worked) delayMs = this.#plan.afterGood(nowMs, session.startedAtMs, chance);
    else delayMs = this.#plan.afterFailure(nowMs, chance);
    this.#atMs = nowMs + delayMs;
    return delayMs === 0;
  }

  /** Plans a try for this very moment. */
  atOnce(knockFirst: boolean): void {
    this.#knockFirst = knockFirst;
    this.#atMs = this.#step.nowMs;
  }

  /** Plans what to do about a port that is taken. Returns whether an old session of ours is being ended for it. */
  afterBusy(code: TunnelFailureCode): boolean {
    this.#knockFirst = false;
    if (code === 'remote-port-busy' && this.#farPid !== undefined) {
      this.#eviction = this.#step.number();
      this.#step.ask({ kind: 'evict', eviction: this.#eviction, farPid: this.#farPid });
      return true;
    }
    this.#waitForPort();
    return false;
  }

  /** Whether a session is to be opened now. Knocks where that comes first. */
  due(): boolean {
    if (this.atMs === undefined || this.#step.nowMs < this.atMs) return false;
    this.#atMs = undefined;
    this.#lastTryAtMs = this.#step.nowMs;
    if (!this.#knockFirst) return true;
    this.#knock = this.#step.number();
    this.#step.ask({ kind: 'knock', knock: this.#knock, timeoutMs: LIMITS.tunnelKnockTimeoutMs });
    return false;
  }

  /** Takes the answer to a knock and plans on. False: it was late and means nothing. */
  knocked(knock: number, answer: 'open' | 'shut' | 'blind', code: TunnelStatus['code']): boolean {
    if (knock !== this.#knock) return false;
    this.#knock = undefined;
    const { nowMs, chance } = this.#step;
    if (answer === 'shut') this.#atMs = nowMs + this.#plan.knockGap(nowMs, chance);
    if (answer === 'blind') {
      // No address to knock at: what a knock would have told, ssh has to find out.
      this.#knockFirst = false;
      this.#atMs = nowMs + (UNREACHED.has(code) ? this.#plan.afterFailure(nowMs, chance) : 0);
    }
    return true;
  }

  /** Takes the outcome of an eviction and plans on. False: it was late and means nothing. */
  evicted(eviction: number, outcome: 'ended' | 'gone' | 'failed'): boolean {
    if (eviction !== this.#eviction) return false;
    this.#eviction = undefined;
    if (outcome !== 'failed') this.remember(undefined);
    if (outcome === 'ended') this.#atMs = this.#step.nowMs;
    else this.#waitForPort();
    return true;
  }

  /** Something happened that may have ended the trouble: the wait is over, or shorter. Returns whether something is due. */
  nudged(kind: 'wake' | 'network' | 'hint' | 'retry'): boolean {
    if (this.#eviction !== undefined) return false;
    const { nowMs } = this.#step;
    if (kind === 'hint') {
      if (this.#atMs === undefined) return false;
      this.#atMs = Math.min(this.#atMs, Math.max(nowMs, this.#lastTryAtMs + HINT_GAP_MS));
      return this.#atMs <= nowMs;
    }
    if (kind === 'retry') this.#plan.reset();
    this.#atMs = nowMs;
    return true;
  }

  /** Who holds our `-R` listeners on the far machine now. */
  remember(farPid: number | undefined): void {
    if (farPid === this.#farPid) return;
    this.#farPid = farPid;
    this.#step.ask({ kind: 'remember', farPid: farPid ?? null });
  }

  /** A session has been proven. */
  proven(): void {
    this.#plan.proven();
    this.#knockFirst = false;
  }

  /** A long life, or a person, makes everything new. */
  reset(): void {
    this.#plan.reset();
  }

  /** Whether a knock or an eviction was on its way and is given up. */
  cancel(): boolean {
    const busy = this.#knock !== undefined || this.#eviction !== undefined;
    this.#knock = undefined;
    this.#eviction = undefined;
    return busy;
  }

  /** Plans nothing any more. */
  clear(): void {
    this.#atMs = undefined;
    this.#knockFirst = false;
  }

  #waitForPort(): void {
    this.#atMs = this.#step.nowMs + this.#plan.busyGap(this.#step.nowMs, this.#step.chance);
  }
}
