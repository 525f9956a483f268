/**
 * Keeps ssh children from outliving the node: starts one small process (guard-process.ts) that is told which children
 * there are and ends them when this process dies, by SIGKILL too. It runs only while there are sessions, and a little
 * longer. The driver has one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock, Logger, TimerHandle } from '../../shared/index.js';

/** One line to the guard. */
export type GuardLine = HoldLine | { readonly drop: string };

/** A process that must not outlive the node, and what goes with it. */
export interface HoldLine {
  readonly hold: string;
  readonly pid: number;
  /** In the command line of that process. */
  readonly mark: string;
  readonly folders: readonly string[];
  /** Unix sockets of `-L`, which ssh leaves behind. */
  readonly sockets: readonly string[];
}

/** Sessions are opened again after some seconds at most: not a new guard each time. */
const LINGER_MS = 30_000;
/** Somebody ends our guard again and again: not more often than this. */
const RESTART_AFTER_MS = 1_000;
/** It ends when its input does; loading takes some hundred milliseconds on a busy machine. */
const KILL_AFTER_MS = 3_000;
const FROM_SOURCE = import.meta.url.endsWith('.ts');
const PROGRAM = fileURLToPath(new URL(`./guard-process${FROM_SOURCE ? '.ts' : '.js'}`, import.meta.url));
/** Flags of this process that are not meant for another. */
const OWN_FLAGS = /^--(?:inspect|cpu-prof|heap-prof|test|watch|prof)/;

/** The guard of one driver. */
export class Guard {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #held = new Map<string, HoldLine>();
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #timer: TimerHandle | undefined;

  constructor(components: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = components.clock;
    this.#logger = components.logger;
  }

  /** Pid of the guard while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** From now on this process ends with the node. */
  hold(id: string, child: Omit<HoldLine, 'hold'>): void {
    const line = { hold: id, ...child };
    this.#held.set(id, line);
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#child === undefined) this.#start();
    else this.#send(line);
  }

  /** It has ended, and its files are gone. */
  drop(id: string): void {
    if (!this.#held.delete(id)) return;
    this.#send({ drop: id });
    if (this.#held.size > 0) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(LINGER_MS, () => this.#retire());
  }

  /** Ends the guard, and with it whatever is still held. */
  async stop(): Promise<void> {
    this.#held.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    const child = this.#retire();
    const timer = this.#clock.after(KILL_AFTER_MS, () => child?.kill('SIGKILL'));
    await this.#ended;
    timer.cancel();
  }

  /** It ends by itself; a later hold starts another. */
  #retire(): ChildProcess | undefined {
    const child = this.#child;
    this.#child = undefined;
    child?.stdin?.end();
    return child;
  }

  #start(): void {
    const flags = FROM_SOURCE ? process.execArgv.filter((flag) => !OWN_FLAGS.test(flag)) : [];
    const child = spawn(process.execPath, [...flags, PROGRAM], {
      // A group of its own: Ctrl-C must not reach it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.#child = child;
    child.stdin?.on('error', () => undefined);
    const before = this.#ended;
    const ended = new Promise<void>((resolve) => {
      const onEnd = (why: string) => {
        this.#onEnd(child, why);
        resolve();
      };
      child.once('exit', (code, signal) => onEnd(signal ?? `exit code ${code}`));
      child.once('error', (error) => {
        if (child.pid === undefined) onEnd(error.message);
      });
    });
    this.#ended = before.then(() => ended);
    for (const line of this.#held.values()) this.#send(line);
  }

  #onEnd(child: ChildProcess, why: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#held.size === 0) return;
    this.#logger.warn('tunnel-guard-ended', { why });
    this.#timer?.cancel();
    this.#timer = this.#clock.after(RESTART_AFTER_MS, () => {
      this.#timer = undefined;
      if (this.#child === undefined && this.#held.size > 0) this.#start();
    });
  }

  #send(line: GuardLine): void {
    this.#child?.stdin?.write(`${JSON.stringify(line)}\n`);
  }
}
