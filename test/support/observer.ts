/**
 * A process that looks at something from outside, all the time, and reports to the test: not held up by what the test
 * itself does, and inside a namespace where one is given. Base of `health-watch.ts` and `tunnel-watch.ts`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { inTime } from './eventually.js';
import { ROOT } from './processes.js';
import type { Program } from './program.js';

/** One such process. `T` is what it reports. */
export class Observer<T> {
  readonly #child: ChildProcess;
  readonly #reports = new EventEmitter().setMaxListeners(0);

  /**
   * @param program gets `job` as JSON in its first argument and ends with its parent
   * @param prefix runs it elsewhere, as `Host.prefix`
   */
  constructor(
    { file, execArgv }: Program,
    job: object,
    prefix: readonly string[] | undefined,
    take: (report: T) => void,
  ) {
    const [first, ...rest] = [...(prefix ?? []), process.execPath];
    this.#child = fork(file, [JSON.stringify(job)], {
      cwd: ROOT,
      execPath: first!,
      execArgv: [...rest, ...execArgv],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (report) => {
      take(report as T);
      this.#reports.emit('report');
    });
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    if (this.#ended !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  /** Says something to the process. */
  tell(message: string): void {
    this.#child.send(message);
  }

  /** Resolves with the first value of `look` that is not undefined, asked after every report. */
  async until<V>(look: () => V | undefined, timeoutMs: number, what: () => string): Promise<V> {
    const signal = AbortSignal.timeout(inTime(timeoutMs));
    for (;;) {
      const value = look();
      if (value !== undefined) return value;
      if (this.#ended !== null) throw new Error(`the observer ended (${this.#ended})`);
      try {
        await once(this.#reports, 'report', { signal });
      } catch {
        throw new Error(`not within ${inTime(timeoutMs)} ms: ${what()}`);
      }
    }
  }

  get #ended(): number | string | null {
    return this.#child.exitCode ?? this.#child.signalCode;
  }
}
