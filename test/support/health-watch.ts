/**
 * Ports that are asked for a health check all the time, by a client in a process of its own (also inside a namespace):
 * when each answered again after a fault, and from when to when it did not.
 */
import type { Attempt, WatchJob } from './health-client.js';
import { Observer } from './observer.js';
import type { Cleanup } from './processes.js';
import { program } from './program.js';

const CLIENT = program(new URL('./health-client.ts', import.meta.url));

/** How a watch asks. */
export interface WatchOptions {
  /** Between two attempts; they overlap where nothing comes back. @default 50 */
  readonly everyMs?: number;
  /** After which an attempt counts as failed. @default 1000 */
  readonly timeoutMs?: number;
  /** Arguments that run the client elsewhere, as `Host.prefix`. */
  readonly prefix?: readonly string[];
  /** @default 127.0.0.1 */
  readonly address?: string;
}

/** A time without an answer, milliseconds since the Unix epoch. */
export interface Outage {
  readonly port: number;
  /** The last answer before it. */
  readonly fromMs: number;
  /** The first answer after it; undefined while it lasts. */
  readonly toMs: number | undefined;
  /** What the first failed attempt saw. */
  readonly error: string;
}

/** An attempt that was answered. */
interface Answered {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** So many are kept: of half a minute and more. */
const ANSWERED_KEPT = 1_000;

interface PortState {
  lastOkAtMs: number;
  /** The last ones, in the order of their answers. */
  readonly answered: Answered[];
  lastFailedStartedAtMs: number;
  lastError: string;
  readonly outages: Outage[];
}

/** Asks some ports all the time. */
export class HealthWatch {
  readonly #observer: Observer<Attempt>;
  readonly #ports = new Map<number, PortState>();

  constructor(ports: readonly number[], options: WatchOptions = {}) {
    const job: WatchJob = {
      ports,
      address: options.address ?? '127.0.0.1',
      everyMs: options.everyMs ?? 50,
      timeoutMs: options.timeoutMs ?? 1_000,
    };
    const now = Date.now();
    for (const port of ports) {
      const never = { lastFailedStartedAtMs: 0, lastError: 'no attempt yet' };
      this.#ports.set(port, { lastOkAtMs: now, answered: [], ...never, outages: [] });
    }
    this.#observer = new Observer(CLIENT, job, options.prefix, (attempt: Attempt) => this.#take(attempt));
  }

  /** Ends the client. */
  stop(): Promise<void> {
    return this.#observer.stop();
  }

  /** Asks nothing until `resume`: many who ask through a path that is dead for long are a load of their own. */
  pause(): void {
    this.#observer.tell('pause');
  }

  /** Ends `pause`. */
  resume(): void {
    this.#observer.tell('resume');
  }

  /**
   * Resolves with the milliseconds from `sinceMs` until the first answer to an attempt that began after it, and after every
   * one that failed. Make the fault, see that it is there, then call this with the time from which the recovery counts.
   */
  recoveredMs(port: number, sinceMs: number, timeoutMs: number): Promise<number> {
    const state = this.#state(port);
    const look = () => {
      // What was answered before the fault was there is no recovery.
      const fromMs = Math.max(sinceMs, state.lastFailedStartedAtMs);
      const first = state.answered.find(({ startedAtMs }) => startedAtMs >= fromMs);
      return first === undefined ? undefined : first.endedAtMs - sinceMs;
    };
    return this.#observer.until(look, timeoutMs, () => `port ${port} answers (last: ${state.lastError})`);
  }

  /** Resolves when every port has answered an attempt that began after this call. */
  async allAnswer(timeoutMs: number): Promise<void> {
    const sinceMs = Date.now();
    await Promise.all([...this.#ports.keys()].map((port) => this.recoveredMs(port, sinceMs, timeoutMs)));
  }

  /** Resolves when an attempt has failed that began after `sinceMs`: the fault is there. */
  async fails(port: number, sinceMs: number, timeoutMs: number): Promise<void> {
    const state = this.#state(port);
    const look = () => (state.lastFailedStartedAtMs >= sinceMs ? true : undefined);
    await this.#observer.until(look, timeoutMs, () => `port ${port} fails`);
  }

  /** Every time without an answer so far. A time shorter than the gap between two attempts is not seen. */
  outages(port: number): readonly Outage[] {
    return this.#state(port).outages;
  }

  #state(port: number): PortState {
    const state = this.#ports.get(port);
    if (state === undefined) throw new Error(`port ${port} is not watched`);
    return state;
  }

  #take({ port, startedAtMs, endedAtMs, error }: Attempt): void {
    const state = this.#state(port);
    const open = state.outages.at(-1)?.toMs === undefined ? state.outages.pop() : undefined;
    if (error === undefined) {
      if (open !== undefined) state.outages.push({ ...open, toMs: endedAtMs });
      state.lastOkAtMs = endedAtMs;
      state.answered.push({ startedAtMs, endedAtMs });
      if (state.answered.length > ANSWERED_KEPT) state.answered.shift();
      return;
    }
    state.lastError = error;
    state.lastFailedStartedAtMs = Math.max(state.lastFailedStartedAtMs, startedAtMs);
    if (open !== undefined) state.outages.push(open);
    // An attempt from before the last answer says nothing about the time after it.
    else if (startedAtMs > state.lastOkAtMs) {
      state.outages.push({ port, fromMs: state.lastOkAtMs, toMs: undefined, error });
    }
  }
}

/** A watch that ends with the test. */
export function watchHealth(
  cleanup: Cleanup,
  ports: readonly number[],
  options: WatchOptions = {},
): HealthWatch {
  const watch = new HealthWatch(ports, options);
  cleanup.add(() => watch.stop());
  return watch;
}
