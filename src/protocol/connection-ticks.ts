/**
 * One timer for all connections of a node that wait for something with a deadline. A connection that waits for nothing is not in it,
 * so an idle node is woken by none of them. Only `connection.ts` uses it.
 */
import type { Clock, TimerHandle } from '../shared/index.js';

/** Something that has deadlines now and then. */
export interface Ticked {
  /** Looks at them. False: it waits for nothing any more. */
  tick(): boolean;
}

/** Deadlines are seen this late at most. */
const TICK_MS = 50;

/** The connections of one node whose deadlines are looked at. */
export class ConnectionTicks {
  #members = new Set<Ticked>();
  #spare = new Set<Ticked>();
  #timer: TimerHandle | undefined;

  /** From now on `tick` is called every 50 ms, until it returns false. */
  join(member: Ticked, clock: Clock): void {
    this.#members.add(member);
    if (this.#timer === undefined) this.#arm(clock);
  }

  /** It waits for nothing any more. */
  leave(member: Ticked): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(clock: Clock): void {
    this.#timer = clock.after(TICK_MS, () => {
      this.#timer = undefined;
      this.#tick(clock);
    });
  }

  #tick(clock: Clock): void {
    const due = this.#members;
    this.#members = this.#spare;
    this.#spare = due;
    try {
      for (const member of due) {
        due.delete(member);
        if (member.tick()) this.#members.add(member);
      }
    } finally {
      // One of them threw: the others have their deadlines all the same.
      for (const member of due) this.#members.add(member);
      due.clear();
      if (this.#timer === undefined && this.#members.size > 0) this.#arm(clock);
    }
  }
}

/** What a connection may wait for. */
export interface Awaited {
  /** Answers, a hello, the rest of a body. */
  readonly session: { readonly needsTick: boolean };
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
  readonly #check: () => void;
  #isIn = false;
  #lookPlanned = false;
  #isOver = false;
  readonly #look = () => {
    this.#lookPlanned = false;
    if (!this.#isIn && this.#waits) this.#join();
  };

  /** `check` looks at the deadlines of the connection. */
  constructor(ticks: ConnectionTicks, clock: Clock, awaited: Awaited, check: () => void) {
    this.#ticks = ticks;
    this.#clock = clock;
    this.#awaited = awaited;
    this.#check = check;
  }

  /** Something was asked, written or received. */
  arm(): void {
    if (this.#isIn) return;
    if (this.#awaited.session.needsTick) {
      this.#join();
    } else if (this.#awaited.stream.unsentBytes > 0 && !this.#lookPlanned) {
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

  tick(): boolean {
    // It is in no list now, also where the check throws.
    this.#isIn = false;
    this.#check();
    this.#isIn = !this.#isOver && this.#waits;
    return this.#isIn;
  }

  get #waits(): boolean {
    return this.#awaited.session.needsTick || this.#awaited.stream.unsentBytes > 0;
  }

  #join(): void {
    if (this.#isOver) return;
    this.#isIn = true;
    this.#ticks.join(this, this.#clock);
  }

  #leave(): void {
    this.#isIn = false;
    this.#ticks.leave(this);
  }
}
