/**
 * The main thread's end of a tokenizer's thread: starts it, asks, and ends it when an answer is late. One object is one life
 * of the thread; `../threaded-tokenizer.ts` starts the next.
 */
import { Worker } from 'node:worker_threads';
import { type Clock, ExoError, LIMITS } from '../../../shared/index.js';
import type { TokenizerAnswer, TokenizerQuestion } from './messages.js';

const FROM_SOURCE = import.meta.url.endsWith('.ts');
const PROGRAM = new URL(`./program${FROM_SOURCE ? '.ts' : '.js'}`, import.meta.url);
/** What a thread says of itself when its heap is full. */
const HEAP_FULL = 'ERR_WORKER_OUT_OF_MEMORY';

interface Waiting {
  resolve(answer: TokenizerAnswer): void;
  reject(error: ExoError): void;
}

/** A running thread. */
export class TokenizerThread {
  readonly #clock: Clock;
  readonly #worker: Worker;
  #waiting: Waiting | undefined;
  #end: ExoError | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#worker = startWorker();
    // A thread that is only kept must not keep the process.
    this.#worker.unref();
    this.#worker.on('message', (answer: TokenizerAnswer) =>
      this.#settle((waiting) => waiting.resolve(answer)),
    );
    this.#worker.on('error', (error: Error & { readonly code?: string }) => this.#ended(reasonOf(error)));
    this.#worker.on('exit', () =>
      this.#ended(new ExoError('tokenizer-invalid', 'the tokenizer’s thread ended')),
    );
  }

  /** Whether it has ended, in whatever way. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /**
   * Asks; one question at a time. Rejects with `tokenizer-invalid` and `late` when the answer takes longer than
   * `timeoutMs`, and with what ended the thread; both end it.
   */
  async ask(question: TokenizerQuestion, timeoutMs: number, late: string): Promise<TokenizerAnswer> {
    if (this.#end !== undefined) throw this.#end;
    const timer = this.#clock.after(timeoutMs, () =>
      this.#ended(
        new ExoError('tokenizer-invalid', `${late} took longer than ${timeoutMs / 1000} s and was ended`),
      ),
    );
    this.#worker.ref();
    try {
      return await new Promise<TokenizerAnswer>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        this.#worker.postMessage(question);
      });
    } finally {
      timer.cancel();
      // Once it has ended it keeps nothing, and who stops it waits for that.
      if (this.#end === undefined) this.#worker.unref();
    }
  }

  /** Resolves when the thread is gone. Who waits gets `why`. Idempotent. */
  async stop(why: ExoError): Promise<void> {
    this.#ended(why);
    this.#worker.ref();
    await this.#worker.terminate();
  }

  #ended(error: ExoError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    void this.#worker.terminate();
    this.#settle((waiting) => waiting.reject(error));
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) how(waiting);
  }
}

function startWorker(): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: LIMITS.tokenizerHeapMbMax };
  // Nothing of the program's own flags and secrets is for templates of strangers.
  const options = { resourceLimits, env: {}, execArgv: [], stdin: false };
  if (!FROM_SOURCE) return new Worker(PROGRAM, options);
  // The loader of TypeScript is there in the main thread only.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const program = JSON.stringify(PROGRAM.href);
  return new Worker(`import(${loader}).then(({ register }) => { register(); return import(${program}); });`, {
    ...options,
    eval: true,
  });
}

function reasonOf(error: Error & { readonly code?: string }): ExoError {
  const message =
    error.code === HEAP_FULL
      ? `the tokenizer or the chat template of the model needs more than ${LIMITS.tokenizerHeapMbMax} MiB of memory and was ended`
      : `the tokenizer’s thread failed (${error.message})`;
  return new ExoError('tokenizer-invalid', message, { cause: error });
}
