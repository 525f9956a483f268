/**
 * The node's end of an engine process: starts the program, asks and gets answers, and says to all who wait when it has
 * ended. One object is one life of the process; `engine-supervisor.ts` starts the next.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Clock, ExoError, LIMITS, type TimerHandle, toExoError } from '../../../../shared/index.js';
import type { UnkeptWeights } from '../weights/made-files.js';
import { FrameReader, writeFrame } from './frames.js';
import type { ProcessProfile, ProcessReply, ProcessReport, ProcessRequest } from './messages.js';
import { ResultFile, type ResultPlace } from './result-file.js';

/** A request without its number. */
type Question = ProcessRequest extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

/** What the process has answered. */
export interface Answer {
  /** Of `start`. */
  readonly report?: ProcessReport | undefined;
  /** Of `profile`. */
  readonly profile?: ProcessProfile | undefined;
  /** Of `load`: what it made and could not keep for the next one. */
  readonly unkept?: UnkeptWeights | undefined;
  /** Of `forward`, unless it gave a token. */
  readonly payload: Buffer;
  readonly token?: number | undefined;
  /** The shard has to be loaded again first. */
  readonly isUnloaded: boolean;
}

interface Waiting {
  readonly op: Question['op'];
  /** Until its deadline, where it has one. */
  timer?: TimerHandle;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: ExoError) => void;
}

/** What takes longer hangs. A start has its deadline in `engine-supervisor.ts`, a step that of its answer. */
const DEADLINES_MS: Partial<Record<Question['op'], number>> = {
  load: LIMITS.engineLoadMs,
  profile: LIMITS.engineProfileMs,
};
/** It ends when the pipe closes, after the run that it is in; what takes longer hangs. */
const KILL_AFTER_MS = 3_000;
/** The end of what native code said, for the message when it dies. */
const TAIL_CHARS = 4_000;
const TAIL_LINES = 4;
const FROM_SOURCE = import.meta.url.endsWith('.ts');
const PROGRAM = fileURLToPath(new URL(`../child/program${FROM_SOURCE ? '.ts' : '.js'}`, import.meta.url));
/** Flags of this process that are not meant for another. */
const OWN_FLAGS = /^--(?:inspect|cpu-prof|heap-prof|test|watch|prof)/;

/** A running process. */
export class EngineProcess {
  /** Resolves with the reason when the process is gone. */
  readonly ended: Promise<ExoError>;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #pipe: Duplex;
  readonly #results = ResultFile.open();
  readonly #waiting = new Map<number, Waiting>();
  #settle!: (error: ExoError) => void;
  #nextId = 1;
  #end: ExoError | undefined;
  #stopping = false;
  #tail = '';

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock;
    const flags = FROM_SOURCE ? process.execArgv.filter((flag) => !OWN_FLAGS.test(flag)) : [];
    this.#child = spawn(process.execPath, [...flags, PROGRAM], {
      // A group of its own: Ctrl-C must not reach it before the node is done.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', this.#results?.fd ?? 'ignore'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.#pipe = this.#child.stdio[3] as Duplex;
    const reader = new FrameReader((head, payload) => this.#onReply(head as ProcessReply, payload));
    this.#pipe.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch {
        this.kill();
      }
    });
    this.#pipe.on('error', () => undefined);
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#tail = (this.#tail + text).slice(-TAIL_CHARS);
    });
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#child.once('error', (error) => this.#onEnd(error.message));
    this.#child.once('close', (code, signal) => this.#onEnd(signal ?? `exit code ${code}`));
  }

  /** Whether large results come through memory that both share. */
  get hasResults(): boolean {
    return this.#results !== undefined;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether it has ended, in whatever way. */
  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Asks and waits. Rejects with what the process says, or `engine-failed` (retryable) when it ends before: it is ended when a load or a
   * profile is not answered in time.
   */
  ask(question: Question, payload?: Uint8Array): Promise<Answer> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { op: question.op, resolve, reject };
      this.#waiting.set(id, waiting);
      this.#watch(waiting);
      this.#send({ ...question, id } as ProcessRequest, payload);
    });
  }

  /** Tells something that has no answer. */
  tell(message: Extract<ProcessRequest, { op: 'cancel' | 'release' }>): void {
    if (this.#end === undefined) this.#send(message);
  }

  /** The payload of an answer is used up. */
  giveBack(payload: Buffer): void {
    this.#results?.giveBack(payload);
  }

  /** Ends the process; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pipe.destroy();
    const timer = this.#clock.after(KILL_AFTER_MS, () => this.kill());
    await this.ended;
    timer.cancel();
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #send(message: ProcessRequest, payload?: Uint8Array): void {
    writeFrame(this.#pipe, message, payload);
  }

  #onReply(head: ProcessReply, payload: Buffer): void {
    const waiting = this.#waiting.get(head.id);
    this.#waiting.delete(head.id);
    if (waiting === undefined) return;
    waiting.timer?.cancel();
    if ('error' in head) {
      const { code, message, retryable } = head.error;
      waiting.reject(new ExoError(code, message, { retryable }));
    } else if ('place' in head) this.#answerFrom(head.place, waiting);
    else if ('token' in head) waiting.resolve({ payload, token: head.token, isUnloaded: false });
    else if ('isUnloaded' in head) waiting.resolve({ payload, isUnloaded: true });
    else {
      const { report, profile, unkept } = head;
      waiting.resolve({ report, profile, unkept, payload, isUnloaded: false });
    }
  }

  /** Who waits is told before the process is ended: it is on no list any more. */
  #answerFrom(place: ResultPlace, { resolve, reject }: Waiting): void {
    try {
      resolve({ payload: this.#results!.read(place), isUnloaded: false });
    } catch (error) {
      reject(toExoError(error, 'engine-failed'));
      this.kill();
    }
  }

  #watch(waiting: Waiting): void {
    const withinMs = DEADLINES_MS[waiting.op];
    if (withinMs === undefined) return;
    waiting.timer = this.#clock.after(withinMs, () => {
      // While it loads it does nothing else.
      const waitsForLoad =
        waiting.op !== 'load' && [...this.#waiting.values()].some(({ op }) => op === 'load');
      if (waitsForLoad) return this.#watch(waiting);
      this.kill();
      // At once: where a disk or a device hangs, the system does not end it before that does.
      this.#onEnd(`no answer to ${waiting.op} within ${withinMs / 60_000} min`);
    });
  }

  #onEnd(how: string): void {
    // A process that could not be started reports an error, and then its end; one that hung was given up before.
    if (this.#end !== undefined) return;
    const tail = this.#tail.trim().split('\n').slice(-TAIL_LINES).join('\n');
    const error = this.#stopping
      ? new ExoError('engine-failed', 'the engine is stopped')
      : new ExoError(
          'engine-failed',
          `the engine's process ended (${how}) and is started anew; ask again${tail === '' ? '' : `. It said last: ${tail}`}`,
          { retryable: true },
        );
    this.#end = error;
    for (const { reject, timer } of this.#waiting.values()) {
      timer?.cancel();
      reject(error);
    }
    this.#waiting.clear();
    this.#results?.close();
    this.#settle(error);
  }
}
