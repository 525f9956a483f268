/**
 * One timer for all connections of a node that wait for something with a deadline. A connection that waits for nothing is not in it,
 * so an idle node is woken by none of them. Only `connection.ts` uses it.
 */
import type { Clock, TimerHandle } from '../shared/index.js';

/** Something that has deadlines now and then. */
export interface Ticked {
  /** When it wants to be looked at, as `clock.now()`. */
  readonly dueMs: number;
  /** Looks at its deadlines. False: it waits for nothing any more. */
  tick(nowMs: number): boolean;
}

/** Deadlines are seen this late at most. */
const TICK_MS = 50;
/** Who waits for something far away is looked at this seldom: each look wakes the process, amid whatever else the machine does. */
const FAR_TICK_MS = 500;

/** The connections of one node whose deadlines are looked at. */
export class ConnectionTicks {
  #members = new Set<Ticked>();
  #spare = new Set<Ticked>();
  #timer: TimerHandle | undefined;
  /** When the timer ends. */
  #timerMs = Number.POSITIVE_INFINITY;

  /** From now on `tick` is called whenever it is due, until it returns false. Again: it is due sooner than it was. */
  join(member: Ticked, clock: Clock): void {
    this.#members.add(member);
    if (member.dueMs < this.#timerMs) this.#arm(clock, member.dueMs);
  }

  /** It waits for nothing any more. */
  leave(member: Ticked): void {
    this.#members.delete(member);
    this.#spare.delete(member);
    if (this.#members.size === 0) this.#disarm();
  }

  #arm(clock: Clock, dueMs: number): void {
    this.#disarm();
    this.#timerMs = dueMs;
    this.#timer = clock.after(Math.max(0, dueMs - clock.now()), () => this.#tick(clock));
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
  }

  #tick(clock: Clock): void {
    // A timer of the system may end a moment early, and a look then would find nothing.
    const nowMs = Math.max(clock.now(), this.#timerMs);
    this.#disarm();
    // Those that are due a moment later are looked at too, so that they share the next timer.
    const untilMs = nowMs + TICK_MS / 2;
    const all = this.#members;
    this.#members = this.#spare;
    this.#spare = all;
    try {
      for (const member of all) {
        all.delete(member);
        if (member.dueMs > untilMs || member.tick(nowMs)) this.#members.add(member);
      }
    } finally {
      // One of them threw: the others have their deadlines all the same.
      for (const member of all) this.#members.add(member);
      all.clear();
      this.#armNext(clock, nowMs);
    }
  }

  #armNext(clock: Clock, nowMs: number): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const member of this.#members) dueMs = Math.min(dueMs, member.dueMs);
    if (dueMs < this.#timerMs) this.#arm(clock, Math.max(dueMs, nowMs));
  }
}

/** What a connection may wait for. */
export interface Awaited {
  /** Answers, a hello, the rest of a body; nothing is due before `nextTickMs`. */
  readonly session: { readonly needsTick: boolean; readonly nextTickMs: number };
  /** That the system takes what was written. */
  readonly stream: { readonly unsentBytes: number };
}

/** What is told it runs as a microtask: at half to a third of what `queueMicrotask` costs, which makes an async resource each time. */
const RESOLVED = Promise.resolve();

/** The place of one connection among them. */
export class TickPlace implements Ticked {
  readonly #ticks: ConnectionTicks;
  readonly #clock: Clock;
  readonly #awaited: Awaited;
  readonly #check: (nowMs: number) => void;
  #dueMs = 0;
  #isIn = false;
  /** Something nearer may come. */
  #isFar = false;
  #lookPlanned = false;
  #isOver = false;
  readonly #look = () => {
    this.#lookPlanned = false;
    if (!this.#isIn && this.#waits) this.#join();
  };

  /** `check` looks at the deadlines of the connection. */
  constructor(ticks: ConnectionTicks, clock: Clock, awaited: Awaited, check: (nowMs: number) => void) {
    this.#ticks = ticks;
    this.#clock = clock;
    this.#awaited = awaited;
    this.#check = check;
  }

  /** Something was asked, written or received. */
  arm(): void {
    const { session, stream } = this.#awaited;
    if (this.#isIn) {
      if (this.#isFar && session.nextTickMs < this.#dueMs) this.#join();
    } else if (session.needsTick) {
      this.#join();
    } else if (stream.unsentBytes > 0 && !this.#lookPlanned) {
      // In a microtask, once for all that is written until then: the system usually takes it at once and says so before that, and
      // the timer is not started for it.
      this.#lookPlanned = true;
      void RESOLVED.then(this.#look);
    }
  }

  /** Everything that was written has been taken. */
  settled(): void {
    if (this.#isIn && !this.#awaited.session.needsTick) this.#leave();
  }

  /** The connection is closed. */
  end(): void {
    this.#isOver = true;
    if (this.#isIn) this.#leave();
  }

  get dueMs(): number {
    return this.#dueMs;
  }

  tick(nowMs: number): boolean {
    // It is in no list now, also where the check throws.
    this.#isIn = false;
    this.#check(nowMs);
    this.#isIn = !this.#isOver && this.#waits;
    if (this.#isIn) this.#plan(nowMs);
    return this.#isIn;
  }

  get #waits(): boolean {
    return this.#awaited.session.needsTick || this.#awaited.stream.unsentBytes > 0;
  }

  #join(): void {
    if (this.#isOver) return;
    this.#isIn = true;
    this.#plan(this.#clock.now());
    this.#ticks.join(this, this.#clock);
  }

  #plan(nowMs: number): void {
    const { needsTick, nextTickMs } = this.#awaited.session;
    // Whether the system takes what was written is judged over many seconds.
    const waitMs = needsTick ? Math.min(Math.max(nextTickMs - nowMs, TICK_MS), FAR_TICK_MS) : FAR_TICK_MS;
    this.#dueMs = nowMs + waitMs;
    this.#isFar = waitMs > TICK_MS;
  }

  #leave(): void {
    this.#isIn = false;
    this.#ticks.leave(this);
  }
}
