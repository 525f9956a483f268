/**
 * The mesh of one run: applies the plan step by step, and holds what the nodes do against what must always hold. The first thing
 * that does not hold ends the run.
 */
import { createMemoryNetwork, type MemoryNetwork } from '../../src/protocol/index.js';
import {
  type LogFields,
  type Logger,
  type Random,
  seededRandom,
  VirtualClock,
} from '../../src/shared/index.js';
import { SLOW_MS_MAX } from './episode.js';
import { Excuses } from './excuses.js';
import { type Life, Machine } from './machine.js';
import type { Action, Plan } from './plan.js';
import { Trace } from './trace.js';
import { type Question, Traffic } from './traffic.js';
import { viewFault } from './views.js';

/** A graceful stop is over by then. */
const STOP_MS_MAX = 5_000;
const LOOK_EVERY_MS = 250;
const RESETS_APART_MS = 5_000;
/** A peer that has said so, or shows it by a new start, really went: when it is heard does not matter. */
const PAST: ReadonlySet<string> = new Set(['it said goodbye', 'it was started again']);

/** One mesh under its plan. */
export class World {
  readonly clock = new VirtualClock();
  readonly trace = new Trace();
  readonly traffic: Traffic;
  /** Longest time from a heal to equal views. */
  settledMsMax = 0;
  #failure: string | undefined;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #network: MemoryNetwork;
  readonly #machines = new Map<string, Machine>();
  readonly #excuses: Excuses;
  /** A stop that is under way, and what waits for it. */
  readonly #stopping = new Map<Machine, Promise<void>>();
  readonly #ends = new Map<string, () => void>();
  /** `a b`: b took a for gone, with an excuse. */
  readonly #dropped = new Set<string>();
  readonly #resetAtMs = new Map<string, number>();
  #probe: Question | undefined;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#random = seededRandom(plan.seed);
    this.#excuses = new Excuses(plan.nodes.map(({ id }) => id));
    this.#network = createMemoryNetwork(
      { clock: this.clock, random: this.#fork() },
      { onEvent: ({ atMs, kind, stream, bytes }) => this.trace.mark(atMs, kind, stream * 65_536 + bytes) },
    );
    for (const node of plan.nodes) {
      const machine = new Machine(node, {
        clock: this.clock,
        network: this.#network,
        random: this.#fork(),
        logger: (of, isOver) => this.#logger(of, isOver),
        onFault: (of, error) => this.fail(`${of.id} would have ended: ${inWords(error)}`),
      });
      this.#machines.set(node.id, machine);
      this.#excuses.away(node.id);
    }
    for (const { from, to, link } of plan.links) this.#network.setLinks(from, to, link);
    this.traffic = new Traffic({
      clock: this.clock,
      random: this.#fork(),
      trace: this.trace,
      machines: () => this.#machines.values(),
      fail: (what) => this.fail(what),
    });
  }

  /** What did not hold. */
  get failure(): string | undefined {
    return this.#failure;
  }

  fail(what: string): void {
    this.trace.note(this.clock.now(), '', 'FAILED', what);
    this.#failure ??= what;
  }

  /** Sets every step of the plan and the traffic going. */
  begin(): void {
    for (const { atMs, action } of this.#plan.steps) {
      this.clock.after(atMs, () => {
        if (this.#failure === undefined) this.#apply(action);
      });
    }
    this.traffic.begin();
  }

  /** Stops every node; resolves when virtual time has shown whether something is left of them. */
  async end(): Promise<void> {
    this.traffic.end();
    for (const machine of this.#machines.values()) if (machine.state === 'up') this.#stop(machine);
    await this.clock.run(STOP_MS_MAX);
  }

  #apply(action: Action): void {
    const nowMs = this.clock.now();
    if (action.kind === 'healed' || action.kind === 'settled' || action.kind === 'calm') {
      this.#look(action.kind);
      return;
    }
    const who = 'node' in action ? action.node : `${action.from}-${action.to}`;
    this.trace.note(nowMs, who, action.kind, 'forMs' in action ? `${action.forMs} ms` : '');
    switch (action.kind) {
      case 'cut':
        this.#excuses.cut(action.from, action.to);
        this.#network.cut(action.from, action.to);
        break;
      case 'join':
        this.#excuses.join(action.from, action.to, nowMs);
        this.#network.heal(action.from, action.to);
        break;
      case 'reset':
        this.#resets(action.from, action.to, nowMs);
        this.#network.reset(action.from, action.to);
        break;
      case 'link':
        this.#network.setLinks(action.from, action.to, action.link ?? this.#baseLink(action));
        break;
      default:
        this.#applyTo(this.#machines.get(action.node)!, action);
        break;
    }
  }

  /** A redial mends one reset, however slow it is. The next one breaks the redial. */
  #resets(a: string, b: string, nowMs: number): void {
    const pair = [a, b].sort().join();
    const isAgain = nowMs - (this.#resetAtMs.get(pair) ?? Number.NEGATIVE_INFINITY) < RESETS_APART_MS;
    this.#resetAtMs.set(pair, nowMs);
    if (!isAgain) return;
    this.#excuses.cut(a, b);
    this.#excuses.join(a, b, nowMs);
  }

  #applyTo(machine: Machine, action: Extract<Action, { readonly node: string }>): void {
    const { id } = machine;
    switch (action.kind) {
      case 'start':
        this.#start(machine);
        break;
      case 'stop':
        this.#excuses.away(id);
        this.#stop(machine);
        break;
      case 'kill':
      case 'power':
        this.#excuses.away(id);
        this.traffic.drop(machine.life!);
        machine.end(action.kind);
        break;
      case 'pause':
        if (action.forMs >= SLOW_MS_MAX) {
          this.#excuses.away(id);
          this.#ends.set(id, () => this.#excuses.back(id, this.clock.now()));
        }
        machine.pause();
        break;
      case 'resume':
        this.#ends.get(id)?.();
        this.#ends.delete(id);
        machine.resume(this.#random.next() < 0.5);
        break;
      default:
        machine.jump(action.byMs);
        break;
    }
  }

  #start(machine: Machine): void {
    const begin = () => {
      this.#excuses.back(machine.id, this.clock.now());
      machine.start();
    };
    const stopping = this.#stopping.get(machine);
    if (stopping === undefined) begin();
    else void stopping.then(begin);
  }

  #stop(machine: Machine): void {
    const life = machine.life!;
    const late = this.clock.after(STOP_MS_MAX, () =>
      this.fail(`${machine.id} did not stop within ${STOP_MS_MAX} ms`),
    );
    const stopped = machine.stop().then(() => {
      late.cancel();
      this.#stopping.delete(machine);
      this.trace.note(this.clock.now(), machine.id, 'stopped');
      this.#nothingLeft(machine, life);
    });
    this.#stopping.set(
      machine,
      stopped.catch((error: unknown) => this.fail(`${machine.id} could not stop: ${inWords(error)}`)),
    );
  }

  #nothingLeft({ id }: Machine, { clock, sockets, engine }: Life): void {
    const left = {
      timers: clock.pending,
      streams: sockets.openStreams,
      dials: sockets.openDials,
      'requests in the engine': engine.held,
    };
    for (const [what, count] of Object.entries(left)) {
      if (count > 0) this.fail(`${id} has stopped and left ${count} ${what}`);
    }
  }

  #look(mark: 'healed' | 'settled' | 'calm'): void {
    this.trace.note(this.clock.now(), '', mark);
    if (mark === 'healed') {
      this.#watch(this.clock.now());
    } else if (mark === 'settled') {
      const fault = viewFault(this.#running());
      if (fault !== undefined) this.fail(`views differ after a heal: ${fault}`);
      this.#probe = this.traffic.askSomebody();
    } else {
      this.#dropped.clear();
      this.#checkStreams();
      const { state, id, outcome } = this.#probe ?? {};
      if (state === 'failed') this.fail(`a calm mesh did not answer ${id}: ${outcome}`);
      const fault = viewFault(this.#running());
      if (fault !== undefined) this.fail(`views differ in calm: ${fault}`);
    }
  }

  /** How long it takes until views are equal. */
  #watch(healedMs: number): void {
    if (viewFault(this.#running()) === undefined) {
      this.settledMsMax = Math.max(this.settledMsMax, this.clock.now() - healedMs);
    } else if (this.#failure === undefined) {
      this.clock.after(LOOK_EVERY_MS, () => this.#watch(healedMs));
    }
  }

  #checkStreams(): void {
    for (const { id: near, life } of this.#running()) {
      for (const { id: far } of this.#running()) {
        const count = far === near ? 1 : life!.sockets.openStreamsTo(far);
        if (count !== 1) this.fail(`${near} has ${count} connections with ${far} in calm, not 1`);
      }
    }
  }

  #running(): Machine[] {
    return [...this.#machines.values()].filter(({ state }) => state === 'up');
  }

  #baseLink({ from, to }: { readonly from: string; readonly to: string }) {
    const fits = (link: Plan['links'][number]) =>
      (link.from === from && link.to === to) || (link.from === to && link.to === from);
    return this.#plan.links.find(fits)!.link;
  }

  #logger(machine: Machine, isOver: () => boolean): Logger {
    const take = (level: string, event: string, fields: LogFields = {}) => {
      if (isOver()) return;
      if (machine.state === 'paused') this.fail(`${machine.id} is paused and logged ${event}`);
      this.#heard(machine, level, event, fields);
    };
    const logger: Logger = {
      debug: (event, fields) => take('debug', event, fields),
      info: (event, fields) => take('info', event, fields),
      warn: (event, fields) => take('warn', event, fields),
      error: (event, fields) => take('error', event, fields),
      child: () => logger,
    };
    return logger;
  }

  #heard({ id }: Machine, level: string, event: string, fields: LogFields): void {
    const nowMs = this.clock.now();
    const words = Object.entries(fields).map(([name, value]) => `${name}=${inWords(value)}`);
    this.trace.note(nowMs, id, event, words.join(' '));
    if (level === 'error') this.fail(`${id} logged the error ${event} ${words.join(' ')}`);
    if (event === 'duplicate-id') this.fail(`${id} saw a duplicate id: ${words.join(' ')}`);
    if (event === 'peer-up') this.#dropped.delete(`${id} ${fields['peer']}`);
    if (event === 'peer-down') this.#judgeVerdict(id, String(fields['peer']), String(fields['reason']));
  }

  #judgeVerdict(judge: string, peer: string, reason: string): void {
    const dropped = `${judge} ${peer}`;
    // Who was rightly given up, and told so by the end of the connection, may think the same of the other.
    const isAnswer = this.#dropped.delete(dropped) && !reason.startsWith('silent');
    if (isAnswer) return;
    if (this.#excuses.has(judge, peer, this.clock.now())) {
      this.#dropped.add(`${peer} ${judge}`);
      return;
    }
    if (PAST.has(reason) && this.#machines.get(peer)?.hasEnded === true) return;
    this.fail(`false death: ${judge} took ${peer} for gone (${reason})`);
  }

  #fork(): Random {
    return seededRandom(Math.floor(this.#random.next() * 2 ** 32));
  }
}

function inWords(value: unknown): string {
  return value instanceof Error ? `${value.name}: ${value.message}` : String(value);
}
