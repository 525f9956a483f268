/**
 * Keeps an engine process: starts it when it is needed, again after it has died, and not more often than once a second.
 * Says in which life the process is, because a new one has loaded nothing. Called by `../ggml-engine.ts`.
 */
import { type Clock, ExoError, type Logger, sleep } from '../../../../shared/index.js';
import { findLibraries } from '../library/platform-package.js';
import { EngineProcess } from './engine-process.js';
import type { ProcessOptions, ProcessReport } from './messages.js';

/** Opening libraries and devices takes a tenth of a second; a GPU that compiles its kernels, some seconds. */
const START_TIMEOUT_MS = 60_000;
/** Between two starts: a process that dies at once must not keep the machine busy. */
const RESTART_AFTER_MS = 1_000;

/** What the supervisor asks. */
export interface SupervisorComponents {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One process after the other. */
export class EngineSupervisor {
  readonly #options: ProcessOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #current: Promise<EngineProcess> | undefined;
  #running: EngineProcess | undefined;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #stopped = new AbortController();

  constructor(options: ProcessOptions, components: SupervisorComponents) {
    this.#options = options;
    this.#clock = components.clock;
    this.#logger = components.logger;
  }

  /** The process that runs, started where none does. Throws `engine-failed` or `engine-missing`. */
  process(): Promise<EngineProcess> {
    if (this.#stopped.signal.aborted) return Promise.reject(stopped());
    this.#current ??= this.#start();
    return this.#current;
  }

  /** The process, if one runs. */
  get running(): EngineProcess | undefined {
    return this.#running;
  }

  /** May be started again after a stop. */
  begin(): void {
    if (this.#stopped.signal.aborted) this.#stopped = new AbortController();
  }

  /** Resolves when the process is gone. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    const current = this.#current;
    this.#current = undefined;
    await (await current?.catch(() => undefined))?.stop();
  }

  async #start(): Promise<EngineProcess> {
    let child: EngineProcess | undefined;
    const { signal } = this.#stopped;
    try {
      findLibraries();
      const waitMs = this.#startedAtMs + RESTART_AFTER_MS - this.#clock.now();
      if (waitMs > 0) await sleep(this.#clock, waitMs, signal);
      if (signal.aborted) throw stopped();
      this.#startedAtMs = this.#clock.now();
      child = new EngineProcess({ clock: this.#clock });
      const report = await this.#ready(child, signal);
      this.#logger.info('engine-started', { pid: child.pid, ...report });
      this.#watch(child);
      return child;
    } catch (error) {
      this.#current = undefined;
      await child?.stop();
      throw signal.aborted ? stopped() : error;
    }
  }

  async #ready(child: EngineProcess, signal: AbortSignal): Promise<ProcessReport | undefined> {
    let isLate = false;
    const timer = this.#clock.after(START_TIMEOUT_MS, () => {
      isLate = true;
      child.kill();
    });
    const onStop = () => child.kill();
    signal.addEventListener('abort', onStop, { once: true });
    try {
      return (await child.ask({ op: 'start', options: this.#options, hasResults: child.hasResults })).report;
    } catch (error) {
      if (!isLate) throw error;
      throw new ExoError('engine-failed', `the engine did not start within ${START_TIMEOUT_MS / 1000} s`, {
        retryable: true,
        cause: error,
      });
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onStop);
    }
  }

  #watch(child: EngineProcess): void {
    const current = this.#current;
    this.#running = child;
    void child.ended.then((error) => {
      if (this.#running === child) this.#running = undefined;
      if (this.#current !== current) return;
      this.#current = undefined;
      if (!this.#stopped.signal.aborted)
        this.#logger.warn('engine-ended', { pid: child.pid, why: error.message });
    });
  }
}

function stopped(): ExoError {
  return new ExoError('engine-failed', 'the ggml engine is stopped');
}
