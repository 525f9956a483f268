/**
 * One tunnel's judgement: when a session is opened, probed, given up and tried again, and what a person is told. Pure: no
 * I/O, no timers, no randomness. Events and times come in, actions go out; `runner.ts` carries them out. Never more than
 * one session: the next is opened when the last has ended. `up` is only said after a probe through the session that stands.
 * The ways between the states are drawn and held in `transitions.ts`; `probe-watch.ts` judges a session that stands,
 * `next-try.ts` plans the next one.
 */
import { LIMITS } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionFacts } from '../driver.js';
import { type TunnelFailure, type TunnelFailureCode, verdictOf } from '../failure.js';
import type { TunnelState, TunnelStatus } from '../tunnel-status.js';
import { type EndedSession, NextTry } from './next-try.js';
import { type Finding, ProbeWatch } from './probe-watch.js';
import { PtyChoice } from './pty-choice.js';
import { Step } from './step.js';
import type {
  ProbeResult,
  SupervisorAction,
  SupervisorEvent,
  SupervisorOptions,
  SupervisorView,
} from './supervisor-events.js';
import { says, WHEN_REACHED, WHY } from './supervisor-words.js';
import { assertTransition } from './transitions.js';

interface Session {
  readonly number: number;
  readonly pty: boolean;
  readonly startedAtMs: number;
  readonly knocked: boolean;
  phase: 'opening' | 'open' | 'closing';
  openedAtMs?: number;
  provenAtMs?: number;
  facts?: SessionFacts;
}

type Nudge = 'wake' | 'network' | 'hint' | 'retry';

/** A session that stood so long has worked, whatever its probes said. */
const STOOD_MS = 10_000;
/** A connect that is younger than this has seen the new network. */
const CONNECT_SETTLE_MS = 500;

/** The state machine of one tunnel. */
export class Supervisor {
  readonly #spec: TunnelSpec;
  readonly #step = new Step();
  readonly #pty = new PtyChoice();
  readonly #watch: ProbeWatch;
  readonly #next: NextTry;
  #state: TunnelState = 'stopped';
  #reason = 'not started';
  #code: TunnelStatus['code'] = null;
  #session: Session | undefined;
  #opened = 0;
  #scheduledMs: number | null = null;

  constructor(spec: TunnelSpec, options: SupervisorOptions) {
    this.#spec = spec;
    this.#watch = new ProbeWatch(spec, options, this.#step, this.#pty);
    this.#next = new NextTry(this.#step, options.farPid);
  }

  get view(): SupervisorView {
    return {
      state: this.#state,
      reason: this.#reason,
      code: this.#code,
      restarts: Math.max(0, this.#opened - 1),
      tryAtMs: this.#state === 'backoff' ? this.#next.atMs : undefined,
      results: this.#watch.results,
      rttMs: this.#watch.rttMs,
      facts: this.#session?.phase === 'open' ? this.#session.facts : undefined,
      note: this.#pty.note,
    };
  }

  /** `nowMs`: `clock.now()`; `chance`: uniform in [0, 1). Returns what is to be done, in order. */
  step(event: SupervisorEvent, nowMs: number, chance: number): SupervisorAction[] {
    this.#step.begin(nowMs, chance);
    this.#take(event);
    this.#schedule();
    return this.#step.end();
  }

  #take(event: SupervisorEvent): void {
    if (event.kind === 'start') this.#start();
    else if (event.kind === 'stop') this.#stop();
    else if (event.kind === 'tick') this.#tick();
    else if (event.kind === 'opened') this.#onOpened(event.session, event.facts);
    else if (event.kind === 'ended') this.#onEnded(event.session, event.cause);
    else if (event.kind === 'named') this.#remember(event.session, event.farPid);
    else if (event.kind === 'probed') this.#onProbed(event.round, event.results);
    else if (event.kind === 'measured') this.#onMeasured(event.round, event.stalls, event.inUse);
    else if (event.kind === 'knocked') this.#onKnocked(event);
    else if (event.kind === 'evicted') this.#onEvicted(event.eviction, event.outcome);
    else this.#nudged(event.kind);
  }

  // ---------------------------------------------------------------- sessions

  #start(): void {
    if (this.#state === 'stopped') this.#open('ssh connects');
  }

  #stop(): void {
    if (this.#state === 'stopped') return;
    // A session that worked until now takes its listeners with it.
    if (this.#state === 'up') this.#next.remember(undefined);
    this.#close();
    this.#next.clear();
    this.#next.reset();
    this.#become('stopped', null, 'closed');
  }

  /** Begins a session, or leaves it to the end of the one that is being closed. */
  #open(reason: string): void {
    this.#become('starting', this.#code, reason);
    if (this.#session === undefined) this.#openNow();
  }

  #openNow(): void {
    const { knockFirst: knocked } = this.#next;
    const [number, pty] = [this.#step.number(), this.#pty.asked];
    this.#next.clear();
    this.#session = { number, pty, knocked, startedAtMs: this.#step.nowMs, phase: 'opening' };
    this.#step.ask({ kind: 'open', session: number, pty });
  }

  /** Ends the session, if there is one, and whatever else is on its way. */
  #close(): void {
    this.#cancel();
    if (this.#session === undefined || this.#session.phase === 'closing') return;
    this.#session.phase = 'closing';
    this.#step.ask({ kind: 'close', session: this.#session.number });
  }

  #cancel(): void {
    const probing = this.#watch.end();
    const trying = this.#next.cancel();
    if (probing || trying) this.#step.ask({ kind: 'cancel' });
  }

  #onOpened(number: number, facts: SessionFacts): void {
    const session = this.#session;
    if (session?.number !== number || session.phase !== 'opening') return;
    session.phase = 'open';
    session.openedAtMs = this.#step.nowMs;
    session.facts = facts;
    this.#opened += 1;
    if (session.pty) this.#pty.opened(facts.pty);
    this.#remember(number, facts.farPid);
    if (this.#watch.enabled) {
      this.#become('gate', this.#code, 'the forwards stand; a health check is on its way through them');
      this.#watch.begin();
    } else {
      this.#up('the forwards stand; this tunnel is not to be probed');
    }
  }

  #remember(session: number, farPid: number | undefined): void {
    const stands = this.#session?.number === session && this.#session.phase === 'open';
    if (stands && this.#spec.reverse.length > 0) this.#next.remember(farPid);
  }

  #onEnded(number: number, cause: TunnelFailure | 'stopped'): void {
    const session = this.#session;
    if (session?.number !== number) return;
    this.#session = undefined;
    if (session.phase === 'closing') {
      if (this.#state === 'starting') this.#openNow();
      else this.#tryIfDue();
      return;
    }
    this.#cancel();
    if (session.pty && session.provenAtMs === undefined) this.#pty.failed();
    const failure: TunnelFailure =
      cause === 'stopped' ? { code: 'driver-fault', message: 'the session was ended from outside' } : cause;
    const verdict = verdictOf(failure.code);
    if (verdict === 'fatal') {
      this.#become('failed', failure.code, says(failure, 'not tried again until something is changed'));
    } else if (verdict === 'busy') {
      this.#busy(failure);
    } else {
      this.#wait(session, failure.code, failure.message);
    }
  }

  // ---------------------------------------------------------------- trying again

  /** Plans the next session after this one. `what` went wrong, in words. */
  #wait(session: Session, code: TunnelFailureCode, what: string): void {
    const { provenAtMs } = session;
    if (provenAtMs !== undefined && this.#step.nowMs - provenAtMs >= LIMITS.tunnelSteadyMs)
      this.#next.reset();
    const atOnce = this.#next.after(this.#ended(session), code);
    const doing = this.#next.knockFirst ? WHEN_REACHED : `ssh starts again${atOnce ? ' at once' : ''}`;
    this.#become('backoff', code, says({ message: what }, doing));
    this.#tryIfDue();
  }

  #ended(session: Session): EndedSession {
    const stoodMs = session.openedAtMs === undefined ? 0 : this.#step.nowMs - session.openedAtMs;
    return { ...session, worked: session.provenAtMs !== undefined || stoodMs >= STOOD_MS };
  }

  #tryIfDue(): void {
    if (this.#state !== 'backoff' || this.#session !== undefined) return;
    if (this.#next.due()) this.#open('ssh connects again');
  }

  #onKnocked(event: SupervisorEvent & { kind: 'knocked' }): void {
    if (!this.#next.knocked(event.knock, event.answer, this.#code)) return;
    if (event.answer === 'open') this.#open('the host takes connections: ssh connects again');
    else if (event.answer === 'shut') {
      this.#become('backoff', event.failure.code, says(event.failure, WHEN_REACHED));
    } else this.#tryIfDue();
  }

  #busy(failure: TunnelFailure): void {
    const evicting = this.#next.afterBusy(failure.code);
    const doing = evicting
      ? 'an old session of this tunnel may hold it and is being ended'
      : 'tried again every few seconds until the port is free';
    this.#become('backoff', failure.code, says(failure, doing));
  }

  #onEvicted(eviction: number, outcome: 'ended' | 'gone' | 'failed'): void {
    if (!this.#next.evicted(eviction, outcome)) return;
    if (outcome === 'failed') {
      const message = 'a port of -R is taken on the far machine, and the old session could not be looked for';
      this.#become('backoff', 'remote-port-busy', says({ message }, 'tried again in a few seconds'));
    } else if (outcome === 'gone') {
      const message = 'a port of -R is taken on the far machine by something that is not this tunnel';
      this.#become('backoff', 'remote-port-busy', says({ message }, 'tried again until it is free'));
    }
    this.#tryIfDue();
  }

  // ---------------------------------------------------------------- proof

  #onProbed(round: number, results: readonly ProbeResult[]): void {
    const session = this.#session;
    if (session?.phase !== 'open') return;
    const finding = this.#watch.probed(round, results, session.provenAtMs !== undefined);
    if (finding !== undefined) this.#found(session, finding);
  }

  #found(session: Session, finding: Finding): void {
    if (finding.kind === 'proven') {
      this.#up(finding.reason);
    } else if (finding.kind === 'down') {
      this.#become('degraded', finding.code, finding.reason);
    } else if (finding.kind === 'missed') {
      this.#become(this.#state === 'gate' ? 'gate' : 'degraded', 'probe-timeout', finding.reason);
    } else if (finding.kind === 'lost') {
      this.#close();
      this.#wait(session, 'probe-timeout', `${finding.reason}; the session is ended`);
    }
  }

  #onMeasured(round: number, stalls: boolean | undefined, inUse: boolean): void {
    const again = this.#watch.measured(round, stalls, inUse);
    if (again === undefined) return;
    if (!again) {
      this.#up('proven end to end');
      return;
    }
    this.#close();
    this.#open('small messages are held back for 40 ms: ssh connects again and holds a terminal session');
  }

  #up(reason: string): void {
    if (this.#session !== undefined) this.#session.provenAtMs ??= this.#step.nowMs;
    this.#next.proven();
    this.#watch.settle();
    this.#become('up', null, reason);
  }

  // ---------------------------------------------------------------- from outside

  #nudged(kind: Nudge): void {
    if (this.#state === 'stopped' || this.#state === 'failed') {
      if (kind !== 'retry') return;
      this.#next.reset();
      this.#open(`${WHY[kind]}: ssh connects again`);
    } else if (this.#state === 'backoff') {
      if (!this.#next.nudged(kind)) return;
      // A knock on its way may have been sent into the old network.
      if (this.#next.cancel()) this.#step.ask({ kind: 'cancel' });
      this.#tryIfDue();
    } else if (this.#state === 'starting') {
      this.#restartConnect(kind);
    } else if (this.#watch.enabled && !(kind === 'hint' && (this.#state === 'up' || this.#watch.asking))) {
      if (this.#watch.cancel()) this.#step.ask({ kind: 'cancel' });
      // A person who reloads says nothing about the path: what works under load must not be ended by one late answer.
      this.#watch.probe(kind === 'wake' || kind === 'network');
    }
  }

  #restartConnect(kind: Nudge): void {
    const session = this.#session;
    if (kind === 'hint' || session?.phase !== 'opening') return;
    if (this.#step.nowMs - session.startedAtMs < CONNECT_SETTLE_MS) return;
    this.#close();
    this.#next.atOnce(true);
    this.#become('backoff', 'connection-lost', `${WHY[kind]} while ssh connected; ${WHEN_REACHED}`);
  }

  // ---------------------------------------------------------------- time

  #tick(): void {
    this.#scheduledMs = null;
    const session = this.#session;
    if (session === undefined) {
      this.#tryIfDue();
    } else if (session.phase === 'opening') {
      if (this.#step.nowMs < session.startedAtMs + LIMITS.tunnelGateMs) return;
      this.#close();
      const seconds = LIMITS.tunnelGateMs / 1000;
      this.#wait(session, 'server-silent', `the server let no forwards stand within ${seconds} s`);
    } else if (session.phase === 'open') {
      const finding = this.#watch.tick();
      if (finding !== undefined) this.#found(session, finding);
    }
  }

  #schedule(): void {
    const session = this.#session;
    let atMs: number | undefined;
    if (session === undefined) atMs = this.#state === 'backoff' ? this.#next.atMs : undefined;
    else if (session.phase === 'opening') atMs = session.startedAtMs + LIMITS.tunnelGateMs;
    else if (session.phase === 'open') atMs = this.#watch.atMs;
    if ((atMs ?? null) === this.#scheduledMs) return;
    this.#scheduledMs = atMs ?? null;
    this.#step.ask({ kind: 'schedule', atMs: this.#scheduledMs });
  }

  #become(to: TunnelState, code: TunnelStatus['code'], reason: string): void {
    const from = this.#state;
    assertTransition(from, to);
    const changed = to !== from || code !== this.#code;
    this.#state = to;
    this.#code = code;
    this.#reason = reason;
    if (changed) this.#step.ask({ kind: 'changed', from, to, code, reason });
  }
}
