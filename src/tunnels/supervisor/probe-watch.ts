/**
 * The proof of one session: when its forwards are probed, what the answers mean, how many are missing in a row, and whether
 * small messages are held back on the way. Pure; the part of the supervisor that works in `gate`, `up` and `degraded`.
 */
import { LIMITS } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import { judge } from './judgement.js';
import type { PtyChoice } from './pty-choice.js';
import type { Step } from './step.js';
import type { ProbeResult, ProbeTimes } from './supervisor-events.js';

/** What a round of probes means for the tunnel. */
export type Finding =
  | { readonly kind: 'proven'; readonly reason: string }
  /** Proven; a burst is on its way before it counts. */
  | { readonly kind: 'measuring' }
  /** ssh works, what is behind it does not. */
  | { readonly kind: 'down'; readonly code: 'remote-node-down' | 'port-mismatch'; readonly reason: string }
  /** No answer; asked again in a moment. */
  | { readonly kind: 'missed'; readonly reason: string }
  /** No answer any more: the session is to be given up. */
  | { readonly kind: 'lost'; readonly reason: string };

const PROVEN: Finding = { kind: 'proven', reason: 'proven end to end' };
/** Behind a working ssh a node that starts is looked for every `tunnelProbeRepeatMs` this long. */
const DOWN_SOON_FOR_MS = 60_000;
/** As TCP smooths its own. */
const RTT_SHARE = 1 / 8;

/** One per tunnel; `begin` for every session. */
export class ProbeWatch {
  readonly #spec: TunnelSpec;
  readonly #times: ProbeTimes;
  readonly #step: Step;
  readonly #pty: PtyChoice;
  #round: { readonly number: number; readonly urgent: boolean } | undefined;
  #measuring: { readonly number: number; readonly untilMs: number } | undefined;
  #nextAtMs: number | undefined;
  #misses = 0;
  #downSinceMs: number | undefined;
  /** Something came back through this session: its silence then is a silence of the path. */
  #answered = false;
  #results: readonly ProbeResult[] = [];
  #rttMs: number | undefined;

  constructor(spec: TunnelSpec, times: ProbeTimes, step: Step, pty: PtyChoice) {
    this.#spec = spec;
    this.#times = times;
    this.#step = step;
    this.#pty = pty;
  }

  /** Whether there is anything to probe. */
  get enabled(): boolean {
    return this.#spec.probe && this.#spec.forward.length + this.#spec.reverse.length > 0;
  }

  /** In the order of `forwardsOf`; empty before the first round of a session. */
  get results(): readonly ProbeResult[] {
    return this.#results;
  }

  /** Smoothed. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** When something is due. */
  get atMs(): number | undefined {
    return this.#measuring?.untilMs ?? this.#nextAtMs;
  }

  /** A round that is not urgent is on its way. */
  get asking(): boolean {
    return this.#round !== undefined;
  }

  /** A session stands: it is probed from now on. */
  begin(): void {
    this.#misses = 0;
    this.#answered = false;
    this.#downSinceMs = undefined;
    if (this.enabled) this.probe(false);
  }

  /** The session is over. Returns whether a round or a burst was on its way and is given up. */
  end(): boolean {
    this.#results = [];
    return this.cancel();
  }

  /** Gives up what is on its way. */
  cancel(): boolean {
    const busy = this.#round !== undefined || this.#measuring !== undefined;
    this.#round = undefined;
    this.#measuring = undefined;
    this.#nextAtMs = undefined;
    return busy;
  }

  /** Urgent: the network is suspected, so the answer must come soon, and one that is missing is enough. */
  probe(urgent: boolean): void {
    this.#nextAtMs = undefined;
    this.#round = { number: this.#step.number(), urgent };
    const timeoutMs = urgent
      ? Math.min(this.#times.probeTimeoutMs, Math.max(LIMITS.tunnelProbeUrgentMs, 4 * (this.#rttMs ?? 0)))
      : this.#times.probeTimeoutMs;
    this.#step.ask({ kind: 'probe', round: this.#round.number, timeoutMs });
  }

  /** Time has come. Returns what it means, if anything. */
  tick(): Finding | undefined {
    if (this.atMs === undefined || this.#step.nowMs < this.atMs) return undefined;
    if (this.#measuring !== undefined) {
      this.#measuring = undefined;
      this.#step.ask({ kind: 'cancel' });
      return PROVEN;
    }
    this.probe(false);
    return undefined;
  }

  /** Takes the results of a round; undefined: they were late. `wasUp`: the session was up before, so others may use it. */
  probed(round: number, results: readonly ProbeResult[], wasUp: boolean): Finding | undefined {
    if (this.#round?.number !== round) return undefined;
    const { urgent } = this.#round;
    this.#round = undefined;
    this.#results = results;
    const judgement = judge(this.#spec, results);
    if (judgement.answered) {
      this.#answered = true;
      this.#misses = 0;
    }
    if (judgement.proven) return this.#proven(results, wasUp);
    if (!judgement.answered) return this.#missed(judgement.reason, urgent);
    this.#askBehind();
    return { kind: 'down', code: judgement.code, reason: judgement.reason };
  }

  /** Takes the result of a burst; undefined: it was late. Whether the session should be opened again with a pty. */
  measured(round: number, stalls: boolean | undefined, inUse: boolean): boolean | undefined {
    if (this.#measuring?.number !== round) return undefined;
    this.#measuring = undefined;
    return this.#pty.measured(stalls, inUse);
  }

  /** The tunnel is up: the next round comes at the usual time. */
  settle(): void {
    this.#downSinceMs = undefined;
    // Up to a tenth sooner, so that many tunnels do not ask in step.
    const gapMs = this.#times.probeIntervalMs * (1 - this.#step.chance / 10);
    if (this.enabled) this.#nextAtMs = this.#step.nowMs + gapMs;
  }

  #proven(results: readonly ProbeResult[], wasUp: boolean): Finding {
    const times = results.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs]));
    if (times.length === 0) {
      return { kind: 'proven', reason: 'the forwards stand; the server lets nobody test them' };
    }
    const slowestMs = Math.max(...times);
    this.#rttMs = (this.#rttMs ?? slowestMs) * (1 - RTT_SHARE) + slowestMs * RTT_SHARE;
    if (wasUp || !this.#pty.shouldMeasure(Math.min(...times))) return PROVEN;
    const forward = results.findIndex(({ rttMs }) => rttMs === Math.min(...times));
    this.#measuring = { number: this.#step.number(), untilMs: this.#step.nowMs + 2 * LIMITS.tunnelBurstMs };
    this.#step.ask({ kind: 'measure', round: this.#measuring.number, forward });
    return { kind: 'measuring' };
  }

  #missed(detail: string, urgent: boolean): Finding {
    this.#misses += 1;
    const max = LIMITS.tunnelProbeMissesMax;
    if (urgent || (this.#answered && this.#misses >= max)) return { kind: 'lost', reason: detail };
    if (this.#misses >= max) {
      // The server let this session in and nothing was ever heard through it: another one would be no newer.
      this.#askBehind();
      const reason = `ssh works, and what listens behind it never answers: it hangs, or is cut off (${detail})`;
      return { kind: 'down', code: 'remote-node-down', reason };
    }
    this.#nextAtMs = this.#step.nowMs + Math.min(LIMITS.tunnelProbeRepeatMs, this.#times.probeIntervalMs);
    return { kind: 'missed', reason: `${detail}; asked again in a moment (${this.#misses} of ${max})` };
  }

  #askBehind(): void {
    this.#downSinceMs ??= this.#step.nowMs;
    const soon = this.#step.nowMs - this.#downSinceMs < DOWN_SOON_FOR_MS;
    const gapMs = soon ? LIMITS.tunnelProbeRepeatMs : LIMITS.tunnelProbeDownMs;
    this.#nextAtMs = this.#step.nowMs + Math.min(gapMs, this.#times.probeIntervalMs);
  }
}
