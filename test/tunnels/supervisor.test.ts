/** The state machine by itself: whatever happens in whatever order, it keeps its promises. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ForwardVerdict, TunnelFailureCode, TunnelState } from '../../src/tunnels/index.js';
import { TUNNEL_FAILURES } from '../../src/tunnels/index.js';
import { Supervisor } from '../../src/tunnels/supervisor/supervisor.js';
import type {
  ProbeResult,
  SupervisorAction,
  SupervisorEvent,
} from '../../src/tunnels/supervisor/supervisor-events.js';
import { assertTransition, TUNNEL_TRANSITIONS } from '../../src/tunnels/supervisor/transitions.js';
import fc from '../support/properties.js';
import '../support/leaks.js';
import { spec } from '../support/memory-tunnels.js';

const SPEC = spec('mac2', { reverse: ['50060:localhost:50060'] });
const CODES = Object.keys(TUNNEL_FAILURES) as TunnelFailureCode[];
const VERDICTS: ForwardVerdict[] = ['ok', 'closed', 'silent', 'not-exo', 'untested'];
const ASKED = ['probe', 'measure', 'knock', 'evict'] as const;

/** What may happen next. `late`: it answers something that was asked before the last. */
type Happening =
  | { readonly kind: 'tick' | 'start' | 'stop' | 'wake' | 'network' | 'hint' | 'retry' }
  | { readonly kind: 'opened'; readonly farPid: number | undefined }
  | { readonly kind: 'ended'; readonly code: TunnelFailureCode | 'stopped' }
  | {
      readonly kind: 'answer';
      readonly late: boolean;
      readonly verdicts: [ForwardVerdict, ForwardVerdict];
      readonly choice: number;
    };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Happening>({ kind: 'tick' }) },
  { weight: 1, arbitrary: fc.constantFrom<Happening>({ kind: 'start' }, { kind: 'stop' }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Happening>(
      { kind: 'wake' },
      { kind: 'network' },
      { kind: 'hint' },
      { kind: 'retry' },
    ),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('opened' as const), farPid: fc.constantFrom(undefined, 7, 8) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('ended' as const),
      code: fc.constantFrom(...CODES, 'stopped' as const),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      late: fc.boolean(),
      verdicts: fc.tuple(fc.constantFrom(...VERDICTS), fc.constantFrom(...VERDICTS)),
      choice: fc.nat(2),
    }),
  },
);

/** A world that keeps book of what was asked and checks every action. */
class Bench {
  readonly supervisor = new Supervisor(SPEC, { probeIntervalMs: 10_000, probeTimeoutMs: 3_000, farPid: 6 });
  nowMs = 0;
  state: TunnelState = 'stopped';
  scheduledMs: number | null = null;
  /** Sessions that were begun and have not ended. */
  readonly sessions = new Set<number>();
  standing: number | undefined;
  closing: number | undefined;
  /** What was asked and may be answered. */
  pending: SupervisorAction | undefined;
  readonly past: SupervisorAction[] = [];
  provenInSession = false;

  happens(event: SupervisorEvent, chance: number): void {
    const actions = this.supervisor.step(event, this.nowMs, chance);
    if (event.kind === 'tick') this.scheduledMs = null;
    for (const action of actions) this.take(action);
    assert.equal(this.supervisor.view.state, this.state);
    this.check();
  }

  private take(action: SupervisorAction): void {
    switch (action.kind) {
      case 'open':
        assert.equal(this.sessions.size, 0, 'two sessions at once');
        this.sessions.add(action.session);
        this.provenInSession = false;
        return;
      case 'close':
        assert.ok(this.sessions.has(action.session), 'closes what is not there');
        assert.notEqual(this.closing, action.session, 'closes twice');
        this.closing = action.session;
        this.standing = undefined;
        return;
      case 'cancel':
        if (this.pending !== undefined) this.past.push(this.pending);
        this.pending = undefined;
        return;
      case 'schedule':
        this.scheduledMs = action.atMs;
        return;
      case 'changed':
        assert.equal(action.from, this.state);
        assertTransition(action.from, action.to);
        assert.ok(action.reason.length > 5, 'a change without a reason');
        if (action.to === 'up') assert.ok(this.provenInSession, 'up without a proof');
        if (action.to === 'up' || action.to === 'stopped') assert.equal(action.code, null);
        if (['degraded', 'backoff', 'failed'].includes(action.to)) assert.notEqual(action.code, null);
        this.state = action.to;
        return;
      case 'remember':
        return;
      default:
        assert.equal(
          this.pending,
          undefined,
          `asks for ${action.kind} while ${this.pending?.kind} is on its way`,
        );
        this.pending = action;
    }
  }

  /** In no state but the last ones may it wait for nothing. */
  private check(): void {
    const waits = this.scheduledMs !== null || this.pending !== undefined || this.closing !== undefined;
    if (this.state === 'stopped' || this.state === 'failed') {
      assert.equal(this.scheduledMs, null, `${this.state} with a timer`);
      assert.equal(this.pending, undefined, `${this.state} with something on its way`);
      if (this.closing === undefined) assert.equal(this.sessions.size, 0);
    } else {
      assert.ok(waits, `${this.state} and nothing will ever happen`);
    }
    if (this.state === 'up') assert.ok(this.standing !== undefined, 'up without a session');
  }

  play(what: Happening, chance: number): void {
    const [session] = this.sessions;
    switch (what.kind) {
      case 'tick':
        if (this.scheduledMs === null) return;
        this.nowMs = Math.max(this.nowMs, this.scheduledMs);
        this.happens({ kind: 'tick' }, chance);
        return;
      case 'opened': {
        if (session === undefined || session === this.standing || session === this.closing) return;
        this.standing = session;
        const facts = { forwardPorts: [50052], reversePorts: [50060], pty: 'not-asked' as const };
        const { farPid } = what;
        this.happens(
          { kind: 'opened', session, facts: farPid === undefined ? facts : { ...facts, farPid } },
          chance,
        );
        return;
      }
      case 'ended': {
        // A session that was never begun, or ended before, may be heard of again.
        const number = session ?? 1;
        this.sessions.clear();
        this.standing = undefined;
        this.closing = undefined;
        const cause =
          what.code === 'stopped' ? what.code : { code: what.code, message: 'what the driver said' };
        this.happens({ kind: 'ended', session: number, cause }, chance);
        return;
      }
      case 'answer':
        this.answer(what, chance);
        return;
      default:
        this.happens({ kind: what.kind }, chance);
    }
  }

  private answer(what: Happening & { kind: 'answer' }, chance: number): void {
    const asked = what.late ? this.past.at(-1) : this.pending;
    if (asked === undefined || !ASKED.some((kind) => kind === asked.kind)) return;
    this.nowMs += 5;
    if (!what.late) {
      this.past.push(asked);
      this.pending = undefined;
    }
    if (asked.kind === 'probe') {
      const results = what.verdicts.map(
        (verdict): ProbeResult => ({
          verdict,
          rttMs: verdict === 'ok' ? 1 : null,
          detail: 'it said something',
        }),
      );
      if (!what.late && what.verdicts.every((verdict) => verdict === 'ok' || verdict === 'untested'))
        this.provenInSession = true;
      this.happens({ kind: 'probed', round: asked.round, results }, chance);
    } else if (asked.kind === 'measure') {
      this.happens(
        {
          kind: 'measured',
          round: asked.round,
          stalls: [true, false, undefined][what.choice],
          inUse: chance < 0.5,
        },
        chance,
      );
    } else if (asked.kind === 'knock') {
      const failure = { code: 'connect-timeout', message: 'the host does not answer' } as const;
      const answers = [{ answer: 'open' }, { answer: 'blind' }, { answer: 'shut', failure }] as const;
      this.happens({ kind: 'knocked', knock: asked.knock, ...answers[what.choice]! }, chance);
    } else if (asked.kind === 'evict') {
      const outcome = (['ended', 'gone', 'failed'] as const)[what.choice]!;
      this.happens({ kind: 'evicted', eviction: asked.eviction, outcome }, chance);
    }
  }
}

const script = fc.array(fc.tuple(happening, fc.double({ min: 0, max: 0.999, noNaN: true })), {
  maxLength: 120,
});

describe('the supervisor', () => {
  it('keeps one session at a time, never waits for nothing, proves before up, and explains every change', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(script, (steps) => {
        const bench = new Bench();
        bench.play({ kind: 'start' }, 0.5);
        for (const [what, chance] of steps) {
          bench.play(what, chance);
          seen.add(bench.state);
        }
      }),
      { numRuns: 3_000 },
    );
    assert.deepEqual([...seen].sort(), Object.keys(TUNNEL_TRANSITIONS).sort(), 'a state was never reached');
  });

  it('has nothing scheduled and nothing on its way once it is stopped, and can start again', () => {
    fc.assert(
      fc.property(script, (steps) => {
        const bench = new Bench();
        bench.play({ kind: 'start' }, 0.5);
        for (const [what, chance] of steps) bench.play(what, chance);
        bench.play({ kind: 'stop' }, 0.5);
        assert.equal(bench.state, 'stopped');
        bench.play({ kind: 'ended', code: 'stopped' }, 0.5);
        assert.deepEqual([bench.scheduledMs, bench.pending, bench.sessions.size], [null, undefined, 0]);
        for (const kind of ['wake', 'network', 'hint', 'tick'] as const) bench.happens({ kind }, 0.5);
        assert.equal(bench.sessions.size, 0);
        bench.play({ kind: 'start' }, 0.5);
        assert.equal(bench.sessions.size, 1);
      }),
      { numRuns: 1_000 },
    );
  });

  it('measures no session that was up before, whatever became of it since', () => {
    const supervisor = new Supervisor(SPEC, { probeIntervalMs: 10_000, probeTimeoutMs: 3_000 });
    let nowMs = 0;
    const step = (event: SupervisorEvent) => {
      nowMs += 3_000;
      return supervisor.step(event, nowMs, 0.5);
    };
    const asked = <K extends SupervisorAction['kind']>(actions: readonly SupervisorAction[], kind: K) =>
      actions.find((action): action is SupervisorAction & { kind: K } => action.kind === kind);
    const results = (verdict: ForwardVerdict, rttMs: number | null) =>
      [verdict, verdict].map((each): ProbeResult => ({ verdict: each, rttMs, detail: 'it said something' }));
    const session = asked(step({ kind: 'start' }), 'open')!.session;
    const facts = { forwardPorts: [50052], reversePorts: [50060], pty: 'not-asked' as const };
    let round = asked(step({ kind: 'opened', session, facts }), 'probe')!.round;
    const measure = asked(step({ kind: 'probed', round, results: results('ok', 1) }), 'measure');
    // It could not be told: only then it may be measured again at all.
    step({ kind: 'measured', round: measure!.round, stalls: undefined, inUse: false });
    assert.equal(supervisor.view.state, 'up');
    for (const verdict of ['silent', 'closed'] as const) {
      for (const now of [results(verdict, null), results('ok', 1)]) {
        round = asked(step({ kind: 'retry' }), 'probe')!.round;
        const actions = step({ kind: 'probed', round, results: now });
        assert.equal(asked(actions, 'measure'), undefined, verdict);
        assert.equal(supervisor.view.state, now[0]!.verdict === 'ok' ? 'up' : 'degraded');
      }
    }
  });

  it('throws for a way between two states that is not in the table', () => {
    assert.throws(() => assertTransition('failed', 'up'), { code: 'internal' });
    assert.throws(() => assertTransition('backoff', 'up'), { code: 'internal' });
    assert.doesNotThrow(() => assertTransition('up', 'up'));
  });

  it('leads from every state to stopped, and to every state from it', () => {
    const reached = new Set<TunnelState>(['stopped']);
    for (const state of reached) for (const next of TUNNEL_TRANSITIONS[state]) reached.add(next);
    assert.equal(reached.size, Object.keys(TUNNEL_TRANSITIONS).length);
    for (const [state, next] of Object.entries(TUNNEL_TRANSITIONS)) {
      if (state !== 'stopped') assert.ok(next.includes('stopped'), state);
    }
  });
});
