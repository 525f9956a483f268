/**
 * One tunnel that runs: carries out what its supervisor asks for (sessions, probes, knocks, the one timer) and tells it what
 * came of it. Decides nothing. Made and stopped by the manager.
 */
import { ExoError, LIMITS, type TimerHandle, withDeadline } from '../shared/index.js';
import type { TunnelSpec } from './description/tunnel-spec.js';
import type { SessionFacts, SessionOptions, TunnelDriver, TunnelSession } from './driver.js';
import type { TunnelFailure } from './failure.js';
import { History } from './history.js';
import { measureStalls, type Probed, probeForwards } from './prober.js';
import type { RunnerComponents } from './runner-components.js';
import { statusOf } from './status.js';
import { Supervisor } from './supervisor/supervisor.js';
import type {
  ProbeResult,
  ProbeTimes,
  SupervisorAction,
  SupervisorEvent,
} from './supervisor/supervisor-events.js';
import type { TunnelEvent, TunnelStatus } from './tunnel-status.js';

/** A tunnel and its supervisor. */
export class Runner {
  readonly #c: RunnerComponents;
  #spec: TunnelSpec;
  readonly #supervisor: Supervisor;
  readonly #history = new History();
  /** Things under way that `stop` waits for. */
  readonly #work = new Set<Promise<void>>();
  #notes: readonly string[] = [];
  #driver: TunnelDriver | undefined;
  #session: { readonly number: number; readonly session: TunnelSession } | undefined;
  #facts: SessionFacts | undefined;
  /** Gives up the place in the queue of logins, while it waits there. */
  #giveUpWait: (() => void) | undefined;
  /** The number of the session that is to be closed, also before there is one. */
  #closing: number | undefined;
  readonly #events: SupervisorEvent[] = [];
  #abort = new AbortController();
  #timer: TimerHandle | undefined;
  #firstHop: Promise<{ readonly host: string; readonly port: number } | undefined> | undefined;
  #sinceAtMs: number;
  #upSinceAtMs: number | null = null;
  #bytes = { in: 0, out: 0, known: false };

  constructor(spec: TunnelSpec, times: ProbeTimes, components: RunnerComponents) {
    this.#spec = spec;
    this.#c = components;
    this.#sinceAtMs = components.clock.wall();
    const farPid = spec.reverse.length > 0 ? components.farPids.read(spec) : undefined;
    this.#supervisor = new Supervisor(spec, { ...times, farPid });
  }

  get spec(): TunnelSpec {
    return this.#spec;
  }

  /** The same tunnel, described by somebody else now. */
  adopt(spec: TunnelSpec): void {
    this.#spec = spec;
  }

  get status(): TunnelStatus {
    return statusOf(this.spec, this.#supervisor.view, {
      nowMs: this.#c.clock.now(),
      driver: this.#driver?.name ?? this.spec.driver ?? null,
      sinceAtMs: this.#sinceAtMs,
      upSinceAtMs: this.#upSinceAtMs,
      bytes: this.#bytesNow(),
      notes: this.#notes,
    });
  }

  get history(): readonly TunnelEvent[] {
    return this.#history.list();
  }

  /** What the manager has to say about it, beside what the tunnel says itself. */
  note(notes: readonly string[]): void {
    this.#notes = notes;
  }

  /** Something happened outside. */
  tell(kind: 'start' | 'wake' | 'network' | 'hint' | 'retry'): void {
    this.#step({ kind });
  }

  /** Ends the session; resolves when nothing of it is left. It may be started again. */
  async stop(): Promise<void> {
    this.#step({ kind: 'stop' });
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /** The description was taken away: nothing of it is kept. */
  forget(): void {
    this.#c.farPids.write(this.spec, null);
  }

  /** One event after the other, also when carrying one out brings the next about. */
  #step(event: SupervisorEvent): void {
    this.#events.push(event);
    if (this.#events.length > 1) return;
    const { clock, random } = this.#c;
    for (let next = this.#events[0]; next !== undefined; next = this.#events[0]) {
      try {
        const actions = this.#supervisor.step(next, clock.now(), random.next());
        for (const action of actions) this.#do(action);
        if (actions.some(({ kind }) => kind === 'changed')) this.#c.onChange();
      } catch (error) {
        // A fault of this program, in one tunnel: the others and the node go on.
        this.#c.logger.error('tunnel-fault', { tunnel: this.spec.name, event: next.kind, error });
      }
      this.#events.shift();
    }
  }

  #do(action: SupervisorAction): void {
    if (action.kind === 'open') this.#open(action.session, action.pty);
    else if (action.kind === 'close') this.#close(action.session);
    else if (action.kind === 'probe') this.#probe(action.round, action.timeoutMs);
    else if (action.kind === 'measure') this.#measure(action.round, action.forward);
    else if (action.kind === 'knock') this.#knock(action.knock, action.timeoutMs);
    else if (action.kind === 'evict') this.#evict(action.eviction, action.farPid);
    else if (action.kind === 'cancel') this.#cancel();
    else if (action.kind === 'remember') this.#c.farPids.write(this.spec, action.farPid);
    else if (action.kind === 'schedule') this.#schedule(action.atMs);
    else this.#changed(action);
  }

  // ---------------------------------------------------------------- sessions

  #open(number: number, pty: boolean): void {
    const server = [...this.spec.jump, this.spec.destination][0]!.text;
    this.#giveUpWait = this.#c.gate.enter(server, (leave) => {
      this.#giveUpWait = undefined;
      this.#track(this.#run(number, pty).finally(leave));
    });
  }

  /** From the start of a session until it stands or has ended; its end is told when it comes. */
  async #run(number: number, pty: boolean): Promise<void> {
    const ended = (cause: TunnelFailure | 'stopped') => this.#step({ kind: 'ended', session: number, cause });
    const driver = await this.#c.driverOf(this.spec).catch((error: unknown) => faultOf(error));
    if (!('open' in driver)) return ended(driver);
    if (this.#closing === number) return ended('stopped');
    this.#driver = driver;
    const session = driver.open(this.spec, this.#sessionOptions(pty));
    this.#session = { number, session };
    const closed = session.closed.catch(faultOf).then((cause) => {
      this.#countBytes();
      this.#session = undefined;
      this.#facts = undefined;
      // The user's configuration may be edited before the next.
      this.#firstHop = undefined;
      ended(cause);
    });
    this.#track(closed);
    const opened = session.opened.then((facts) => {
      if (this.#session?.number !== number) return;
      this.#facts = facts;
      this.#step({ kind: 'opened', session: number, facts });
      // A far machine under load names it late, and the tunnel does not wait for that.
      void session.named?.then((farPid) => this.#step({ kind: 'named', session: number, farPid }));
    });
    await Promise.race([opened, closed]);
  }

  #close(number: number): void {
    if (this.#giveUpWait !== undefined) {
      // It was still waiting for its place.
      this.#giveUpWait();
      this.#giveUpWait = undefined;
      this.#step({ kind: 'ended', session: number, cause: 'stopped' });
      return;
    }
    this.#closing = number;
    if (this.#session?.number === number) this.#track(this.#session.session.close());
  }

  #sessionOptions(pty: boolean): SessionOptions {
    return {
      connectTimeoutMs: LIMITS.tunnelConnectTimeoutMs,
      keepaliveIntervalMs: LIMITS.tunnelKeepaliveIntervalMs,
      keepaliveCountMax: LIMITS.tunnelKeepaliveCountMax,
      pty,
    };
  }

  // ---------------------------------------------------------------- probes, knocks, evictions

  #probed(): Probed | undefined {
    if (this.#session === undefined || this.#facts === undefined) return undefined;
    return { spec: this.spec, session: this.#session.session, facts: this.#facts };
  }

  #probe(round: number, timeoutMs: number): void {
    const { signal } = this.#abort;
    const probed = this.#probed();
    if (probed === undefined) return;
    this.#try(signal, async () => {
      const results: ProbeResult[] = await probeForwards(probed, this.#c, timeoutMs, signal);
      return { kind: 'probed', round, results };
    });
  }

  #measure(round: number, forward: number): void {
    const { signal } = this.#abort;
    const probed = this.#probed();
    if (probed === undefined) return;
    const inUse = () => this.#c.isInUse(this.spec);
    this.#try(signal, async () => {
      // The far side may dial in as soon as the forwards stand; nothing is measured beside its traffic.
      const stalls = inUse() ? undefined : await measureStalls(probed, forward, this.#c, signal);
      return { kind: 'measured', round, stalls, inUse: inUse() };
    });
  }

  #knock(number: number, timeoutMs: number): void {
    const { signal } = this.#abort;
    this.#try(signal, async () => {
      const address = await this.#hop(signal).catch(() => undefined);
      if (address === undefined) return { kind: 'knocked', knock: number, answer: 'blind' };
      const answer = await this.#c.sockets.knock(address, timeoutMs, signal);
      if (answer === 'open') return { kind: 'knocked', knock: number, answer };
      return { kind: 'knocked', knock: number, answer: 'shut', failure: answer };
    });
  }

  async #hop(signal: AbortSignal): Promise<{ readonly host: string; readonly port: number } | undefined> {
    const driver = await this.#c.driverOf(this.spec);
    if (!('open' in driver)) return undefined;
    // Kept for one outage. Its own deadline, because a knock that is given up may be followed by another.
    this.#firstHop ??= withDeadline(
      { clock: this.#c.clock, timeoutMs: LIMITS.tunnelFirstHopMs, owner: this.#abort.signal },
      (limited) => driver.firstHop(this.spec, limited),
    );
    try {
      return await this.#firstHop;
    } catch (error) {
      this.#firstHop = undefined;
      signal.throwIfAborted();
      throw error;
    }
  }

  #evict(eviction: number, farPid: number): void {
    const { signal } = this.#abort;
    this.#try(signal, async () => {
      const deadline = { clock: this.#c.clock, timeoutMs: LIMITS.tunnelEvictMs, owner: signal };
      const outcome = await withDeadline(deadline, async (limited) => {
        const driver = await this.#c.driverOf(this.spec);
        if (!('open' in driver)) return 'failed' as const;
        const ended = await driver.evict(this.spec, farPid, this.#sessionOptions(false), limited);
        return ended ? ('ended' as const) : ('gone' as const);
      }).catch((error: unknown) => {
        this.#c.logger.debug('tunnel-evict-failed', { tunnel: this.spec.name, farPid, error });
        return 'failed' as const;
      });
      return { kind: 'evicted', eviction, outcome };
    });
  }

  /** Runs something whose result is an event; an aborted one has none. */
  #try(signal: AbortSignal, work: () => Promise<SupervisorEvent>): void {
    this.#track(
      work().then(
        (event) => {
          if (!signal.aborted) this.#step(event);
        },
        (error: unknown) => {
          if (!signal.aborted) throw error;
        },
      ),
    );
  }

  #cancel(): void {
    this.#abort.abort(new ExoError('request-cancelled', 'given up by the supervisor'));
    this.#abort = new AbortController();
  }

  #schedule(atMs: number | null): void {
    this.#timer?.cancel();
    this.#timer =
      atMs === null
        ? undefined
        : this.#c.clock.after(Math.max(0, atMs - this.#c.clock.now()), () => {
            this.#timer = undefined;
            this.#step({ kind: 'tick' });
          });
  }

  /** A fault in here must not end the process, nor go unseen. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => {
        this.#c.logger.error('tunnel-fault', { tunnel: this.spec.name, error });
      })
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }

  // ---------------------------------------------------------------- what is seen

  #changed(action: SupervisorAction & { kind: 'changed' }): void {
    const { from, to, code, reason } = action;
    const atMs = this.#c.clock.wall();
    if (to !== from) this.#sinceAtMs = atMs;
    if (to !== 'up') this.#upSinceAtMs = null;
    this.#history.add({ atMs, from, to, code, reason });
    this.#c.logger.info('tunnel-changed', { tunnel: this.spec.name, from, to, code, reason });
    if (to !== 'up' || from === 'up') return;
    this.#upSinceAtMs = atMs;
    this.#c.onUp(this.spec);
  }

  #bytesNow(): { readonly in: number; readonly out: number } | undefined {
    const session = this.#session?.session.bytes();
    if (session === undefined && !this.#bytes.known) return undefined;
    return { in: this.#bytes.in + (session?.in ?? 0), out: this.#bytes.out + (session?.out ?? 0) };
  }

  /** Keeps what a session that has ended carried. */
  #countBytes(): void {
    const session = this.#session?.session.bytes();
    if (session === undefined) return;
    this.#bytes = { in: this.#bytes.in + session.in, out: this.#bytes.out + session.out, known: true };
  }
}

/** A driver never throws; one that does anyway has a fault, which must not leave the tunnel waiting for ever. */
function faultOf(error: unknown): TunnelFailure {
  return { code: 'driver-fault', message: `the driver failed: ${String(error)}` };
}
