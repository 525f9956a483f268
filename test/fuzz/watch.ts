/**
 * Fuzzes targets, each in a thread of its own that can be stopped when its parser hangs or eats the memory. Called by the
 * test and by main.ts.
 */
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { program } from '../support/program.js';
import type { FuzzFailure, FuzzProgress, FuzzResult } from './fuzzer.js';
import type { WorkerTask } from './worker.js';

/** Which target, and how long. */
export interface WatchOptions {
  /** Module that exports `TARGETS`, as a URL. */
  readonly module: string;
  readonly target: string;
  readonly ms: number;
  readonly seed: number;
  /** Whether to say at the end which inputs are worth keeping. @default false */
  readonly keep?: boolean;
  /** One input may take so long before it is tried again alone; hanging there too, it is a bug. @default 15 s */
  readonly hangMs?: number;
  onProgress?(progress: FuzzProgress): void;
}

const WORKER = program(new URL('./worker.ts', import.meta.url));
/** A thread that is not compiled loads the loader of TypeScript first. */
const THREAD = WORKER.execArgv.length === 0 ? WORKER.file : new URL('./thread.mjs', import.meta.url);
const HANG_MS = 15_000;
const LOOK_MS = 250;
const HEAP_MIB_MAX = 512;
/** Of an input that hangs so much is known. */
const SHARED_BYTES = 256 * 1024;
const NOTHING: FuzzProgress = { runs: 0, tookMs: 0, corpus: 0, added: 0, coveredChars: 0 };

type Said =
  | { readonly kind: 'progress'; readonly progress: FuzzProgress }
  | { readonly kind: 'done'; readonly result: FuzzResult }
  | { readonly kind: 'returned' };

/** Fuzzes one target. Resolves with what came of it, a bug included; rejects when the target itself cannot run. */
export async function watch(options: WatchOptions): Promise<FuzzResult> {
  const first = await runThread(options);
  if (first.said?.kind === 'done') {
    const { result } = first.said;
    // A thread's buffers arrive as plain bytes.
    const failure = result.failure && { ...result.failure, input: Buffer.from(result.failure.input) };
    return { ...result, failure, kept: result.kept.map((input) => Buffer.from(input)) };
  }
  const { input } = first;
  if (input === undefined)
    throw first.error ?? new Error(`the thread of ${options.target} ended without a result`);
  const fault = (what: string): FuzzResult => ({ ...first.progress, failure: { input, what }, kept: [] });
  if (first.error !== undefined) return fault(`ended its thread: ${first.error.message}`);
  const again = await runThread(options, input);
  return again.said?.kind === 'returned'
    ? // It was the machine. The runs until then count.
      { ...first.progress, failure: undefined, kept: [] }
    : fault('hang: did not return, twice');
}

interface ThreadEnd {
  readonly progress: FuzzProgress;
  readonly said?: Said;
  /** Being worked on when the thread hung or broke. */
  readonly input?: Buffer;
  readonly error?: Error;
}

function runThread(options: WatchOptions, only?: Buffer): Promise<ThreadEnd> {
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const head = new Int32Array(shared, 0, 2);
  const task: WorkerTask = {
    module: pathToFileURL(program(new URL(options.module)).file).href,
    target: options.target,
    ms: options.ms,
    seed: options.seed,
    keep: options.keep ?? false,
    shared,
    ...(only === undefined ? {} : { only }),
  };
  const worker = new Worker(THREAD, {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
  });
  const inputNow = () =>
    Buffer.from(new Uint8Array(shared, 8, Math.min(Atomics.load(head, 1), SHARED_BYTES - 8)));
  return new Promise((resolve) => {
    let progress = NOTHING;
    let last: Said | undefined;
    let hung: Buffer | undefined;
    let runs = -1;
    let sinceMs = performance.now();
    const settle = (end: Omit<ThreadEnd, 'progress'>) => {
      clearInterval(timer);
      resolve({ progress: { ...progress, runs: Math.max(progress.runs, Atomics.load(head, 0)) }, ...end });
    };
    const timer = setInterval(() => {
      const now = Atomics.load(head, 0);
      if (now !== runs || now === 0) {
        runs = now;
        sinceMs = performance.now();
      } else if (performance.now() - sinceMs > (options.hangMs ?? HANG_MS)) {
        hung = inputNow();
        clearInterval(timer);
        void worker.terminate();
      }
    }, LOOK_MS);
    worker.on('message', (said: Said) => {
      last = said;
      if (said.kind === 'progress') {
        progress = said.progress;
        options.onProgress?.(progress);
      }
    });
    worker.on('error', (error: Error) => {
      settle({ error, ...(Atomics.load(head, 0) === 0 ? {} : { input: inputNow() }) });
    });
    worker.on('exit', () => {
      settle({
        ...(hung === undefined ? {} : { input: hung }),
        ...(last === undefined ? {} : { said: last }),
      });
    });
  });
}

/** A bug in words, with the input. */
export function describeFailure(target: string, failure: FuzzFailure, file: string): string {
  const shown = failure.input.subarray(0, 300);
  return [
    `${target}: ${failure.what}`,
    `  input (${failure.input.length} bytes, in ${file}): ${JSON.stringify(shown.toString('latin1'))}`,
    ...(failure.stack === undefined ? [] : [failure.stack.split('\n').slice(0, 12).join('\n')]),
  ].join('\n');
}
