/** The near side of a session with `exo __far`: one request at a time, over one command of the ssh connection. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { type Clock, ExoError, LIMITS, printable } from '../../shared/index.js';
import {
  type FarAnswer,
  type FarOperation,
  type FarRequest,
  readAnswer,
  requestLine,
} from './far-protocol.js';
import type { RemoteShell } from './remote-shell.js';
import { endNow } from './run-child.js';
import { scriptLine } from './shell-words.js';

/** How far exo is started: the PATH of the far login shell, and its words. */
export interface FarProgram {
  readonly path: string;
  readonly words: readonly string[];
}

/** $1: PATH; the rest: the program. */
const SCRIPT = 'PATH="$1"; export PATH; shift; exec "$@"';
/** Longest of the requests but `wait`, which brings its own: starting a node. */
const ANSWER_WITHIN_MS = 45_000;
/** Undoing stops a node in the worst case. */
const END_WITHIN_MS = 15_000;

interface Waiting {
  readonly op: FarOperation;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** One session. */
export class FarClient {
  readonly #clock: Clock;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly #closed: Promise<void>;
  #waiting: Waiting | undefined;
  #stderr = '';
  #ended = false;

  constructor(clock: Clock, shell: RemoteShell, program: FarProgram) {
    this.#clock = clock;
    this.#child = shell.start(scriptLine(SCRIPT, [program.path, ...program.words, '__far']));
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-LIMITS.farStderrCharsMax);
    });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on('line', (line) => this.#take(line));
    this.#closed = new Promise((resolve) => {
      const ended = (why: string) => {
        this.#ended = true;
        this.#waiting?.reject(new ExoError('connection-closed', why));
        this.#waiting = undefined;
        resolve();
      };
      this.#child.once('error', (error) => ended(error.message));
      this.#child.once('close', (code) => ended(this.#lastWords(code)));
    });
  }

  /** Asks for one thing. Rejects with the error that was answered, `connection-closed`, `request-timeout`, or the reason. */
  async ask<Name extends FarOperation>(
    op: Name,
    body: FarRequest<Name>,
    signal: AbortSignal,
    timeoutMs = ANSWER_WITHIN_MS,
  ): Promise<FarAnswer<Name>> {
    signal.throwIfAborted();
    if (this.#ended) throw new ExoError('connection-closed', this.#lastWords(null));
    return await new Promise<FarAnswer<Name>>((resolve, reject) => {
      const done = () => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        this.#waiting = undefined;
      };
      const fail = (error: unknown) => {
        done();
        reject(error);
      };
      const onAbort = () => fail(signal.reason);
      const timer = this.#clock.after(timeoutMs, () =>
        fail(new ExoError('request-timeout', `exo there did not answer within ${timeoutMs / 1000} s`)),
      );
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting = {
        op,
        resolve: (answer) => {
          done();
          resolve(answer as FarAnswer<Name>);
        },
        reject: fail,
      };
      this.#child.stdin.write(requestLine(op, body));
    });
  }

  /** Ends the session; resolves when the far side has put in order what was not committed, or the time is over. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    const timer = this.#clock.after(END_WITHIN_MS, () => endNow(this.#child));
    await this.#closed;
    timer.cancel();
    this.#lines.close();
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    try {
      const answer = readAnswer(waiting.op, line);
      if (answer !== undefined) waiting.resolve(answer);
    } catch (error) {
      waiting.reject(error);
    }
  }

  #lastWords(code: number | null): string {
    const said = this.#stderr.trim().split('\n').slice(-3).join(' ');
    return `exo there ended${code === null ? '' : ` (exit code ${code})`}${said === '' ? '' : `: ${printable(said, 400)}`}`;
  }
}
