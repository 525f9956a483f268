/**
 * Ports that are asked for a health check all the time, by a client in a process of its own (also inside a namespace):
 * when each answered again after a fault, and from when to when it did not.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Attempt, WatchJob } from './health-client.js';
import { type Cleanup, ROOT } from './processes.js';

const CLIENT = fileURLToPath(new URL('./health-client.ts', import.meta.url));

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

interface PortState {
  lastOkAtMs: number;
  lastOkStartedAtMs: number;
  lastError: string;
  readonly outages: Outage[];
}

/** Asks some ports all the time. */
export class HealthWatch {
  readonly #child: ChildProcess;
  readonly #ports = new Map<number, PortState>();
  readonly #attempts = new EventEmitter().setMaxListeners(0);

  constructor(ports: readonly number[], options: WatchOptions = {}) {
    const [first, ...rest] = [...(options.prefix ?? []), process.execPath];
    const job: WatchJob = {
      ports,
      address: options.address ?? '127.0.0.1',
      everyMs: options.everyMs ?? 50,
      timeoutMs: options.timeoutMs ?? 1_000,
    };
    this.#child = fork(CLIENT, [JSON.stringify(job)], {
      cwd: ROOT,
      execPath: first!,
      execArgv: [...rest, '--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const now = Date.now();
    for (const port of ports) {
      this.#ports.set(port, { lastOkAtMs: now, lastOkStartedAtMs: 0, lastError: '', outages: [] });
    }
    this.#child.on('message', (attempt) => this.#take(attempt as Attempt));
  }

  /** Ends the client. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  /**
   * Resolves with the milliseconds from `sinceMs` until the first answer to an attempt that began after it. Make the
   * fault, see that it is there, then call this with the time of the fault.
   */
  async recoveredMs(port: number, sinceMs: number, timeoutMs: number): Promise<number> {
    const state = this.#state(port);
    await this.#until(
      () => state.lastOkStartedAtMs >= sinceMs,
      timeoutMs,
      () => {
        return `port ${port} answers (last: ${state.lastError || 'no attempt'})`;
      },
    );
    return state.lastOkAtMs - sinceMs;
  }

  /** Resolves when every port has answered an attempt that began after this call. */
  async allAnswer(timeoutMs: number): Promise<void> {
    const sinceMs = Date.now();
    await Promise.all([...this.#ports.keys()].map((port) => this.recoveredMs(port, sinceMs, timeoutMs)));
  }

  /** Resolves when an attempt has failed that began after `sinceMs`: the fault is there. */
  async fails(port: number, sinceMs: number, timeoutMs: number): Promise<void> {
    let failed = false;
    const look = (attempt: Attempt) => {
      if (attempt.port === port && attempt.error !== undefined && attempt.startedAtMs >= sinceMs)
        failed = true;
    };
    this.#attempts.on('attempt', look);
    try {
      await this.#until(
        () => failed,
        timeoutMs,
        () => `port ${port} fails`,
      );
    } finally {
      this.#attempts.off('attempt', look);
    }
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

  #take(attempt: Attempt): void {
    const state = this.#state(attempt.port);
    const open = state.outages.at(-1)?.toMs === undefined ? state.outages.pop() : undefined;
    if (attempt.error === undefined) {
      if (open !== undefined) state.outages.push({ ...open, toMs: attempt.endedAtMs });
      state.lastOkAtMs = Math.max(state.lastOkAtMs, attempt.endedAtMs);
      state.lastOkStartedAtMs = Math.max(state.lastOkStartedAtMs, attempt.startedAtMs);
    } else {
      state.lastError = attempt.error;
      if (open !== undefined) state.outages.push(open);
      // An attempt from before the last answer says nothing about the time after it.
      else if (attempt.startedAtMs > state.lastOkAtMs) {
        state.outages.push({
          port: attempt.port,
          fromMs: state.lastOkAtMs,
          toMs: undefined,
          error: attempt.error,
        });
      }
    }
    this.#attempts.emit('attempt', attempt);
  }

  async #until(holds: () => boolean, timeoutMs: number, what: () => string): Promise<void> {
    const ended = () => this.#child.exitCode ?? this.#child.signalCode;
    const signal = AbortSignal.timeout(timeoutMs);
    while (!holds()) {
      if (ended() !== null) throw new Error(`the health client ended (${ended()})`);
      try {
        await once(this.#attempts, 'attempt', { signal });
      } catch {
        throw new Error(`not within ${timeoutMs} ms: ${what()}`);
      }
    }
  }
}

/** A watch that ends with the test; ready when its process has made its first attempts. */
export async function watchHealth(
  cleanup: Cleanup,
  ports: readonly number[],
  options: WatchOptions = {},
): Promise<HealthWatch> {
  const watch = new HealthWatch(ports, options);
  cleanup.add(() => watch.stop());
  return watch;
}
