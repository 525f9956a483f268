/**
 * What a supervisor is told and what it asks for, as plain data: the language between `supervisor.ts` (decides) and
 * `runner.ts` (does). Whatever is asked for has a number; an answer with an old number is late and changes nothing.
 */
import type { SessionFacts } from '../driver.js';
import type { TunnelFailure } from '../failure.js';
import type { ForwardVerdict, TunnelState, TunnelStatus } from '../tunnel-status.js';

/** How often and how long is probed, milliseconds. */
export interface ProbeTimes {
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
}

/** What one forward said in one round of probes. */
export interface ProbeResult {
  readonly verdict: ForwardVerdict;
  /** Null unless the verdict is `ok`. */
  readonly rttMs: number | null;
  /** In words, for everything but `ok`. */
  readonly detail: string;
}

/** What happened. */
export type SupervisorEvent =
  /** Begin, from `stopped`. */
  | { readonly kind: 'start' }
  /** End for good. */
  | { readonly kind: 'stop' }
  /** The time that was asked for by `schedule` has come. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'opened'; readonly session: number; readonly facts: SessionFacts }
  | { readonly kind: 'ended'; readonly session: number; readonly cause: TunnelFailure | 'stopped' }
  /** One result for every forward: those of `-L`, then those of `-R`. */
  /** Who holds the `-R` listeners of this session on the far machine, where that was not known when it opened. */
  | { readonly kind: 'named'; readonly session: number; readonly farPid: number }
  | { readonly kind: 'probed'; readonly round: number; readonly results: readonly ProbeResult[] }
  /**
   * Whether small messages wait for a delayed acknowledgement; undefined: could not be told. `inUse`: a peer is connected through the
   * session, which must not be ended for this.
   */
  | {
      readonly kind: 'measured';
      readonly round: number;
      readonly stalls: boolean | undefined;
      readonly inUse: boolean;
    }
  /** `blind`: there is no address to knock at (a ProxyCommand). */
  | { readonly kind: 'knocked'; readonly knock: number; readonly answer: 'open' | 'blind' }
  | {
      readonly kind: 'knocked';
      readonly knock: number;
      readonly answer: 'shut';
      readonly failure: TunnelFailure;
    }
  /** `ended`: the stale session is gone; `gone`: it was not there any more; `failed`: could not be tried. */
  | { readonly kind: 'evicted'; readonly eviction: number; readonly outcome: 'ended' | 'gone' | 'failed' }
  /** The machine slept; its interfaces changed; the far side was heard of; a person asks. */
  | { readonly kind: 'wake' | 'network' | 'hint' | 'retry' };

/** What is to be done. */
export type SupervisorAction =
  | { readonly kind: 'open'; readonly session: number; readonly pty: boolean }
  | { readonly kind: 'close'; readonly session: number }
  /** Probe every forward once. */
  | { readonly kind: 'probe'; readonly round: number; readonly timeoutMs: number }
  /** Send a burst of messages through the forward with this index and look for stalls. */
  | { readonly kind: 'measure'; readonly round: number; readonly forward: number }
  | { readonly kind: 'knock'; readonly knock: number; readonly timeoutMs: number }
  | { readonly kind: 'evict'; readonly eviction: number; readonly farPid: number }
  /** Give up every probe, measurement, knock and eviction on its way. */
  | { readonly kind: 'cancel' }
  /** Keep this over a restart of the node: who holds our `-R` listeners; null: nobody does. */
  | { readonly kind: 'remember'; readonly farPid: number | null }
  /** The one timer: `tick` at this time of `clock.now()`; null: none. */
  | { readonly kind: 'schedule'; readonly atMs: number | null }
  /** For the history and the log. */
  | {
      readonly kind: 'changed';
      readonly from: TunnelState;
      readonly to: TunnelState;
      readonly code: TunnelStatus['code'];
      readonly reason: string;
    };

/** `farPid`: who held our `-R` listeners on the far machine when the node last ran. */
export interface SupervisorOptions extends ProbeTimes {
  readonly farPid?: number | undefined;
}

/** What can be seen of a supervisor. */
export interface SupervisorView {
  readonly state: TunnelState;
  readonly reason: string;
  readonly code: TunnelStatus['code'];
  /** Sessions that stood, after the first. */
  readonly restarts: number;
  /** `clock.now()` of the next try, while it waits for one. */
  readonly tryAtMs: number | undefined;
  /** In the order of `forwardsOf`; empty before the first round of a session. */
  readonly results: readonly ProbeResult[];
  /** Of the probes, smoothed. */
  readonly rttMs: number | undefined;
  readonly facts: SessionFacts | undefined;
  /** What is worth knowing and no fault. */
  readonly note: string | undefined;
}
