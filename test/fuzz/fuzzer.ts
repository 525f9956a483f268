/**
 * The loop: takes an input that was worth keeping, changes it, runs the target, judges what came out, and keeps the new input
 * when it ran code that none did before, or ended in a new way. Runs in a worker (worker.ts), because a parser that hangs
 * can only be stopped from outside.
 */
import { readFileSync } from 'node:fs';
import { type Random, randomInt, seededRandom } from '../../src/shared/index.js';
import { Coverage } from './coverage.js';
import { HOSTILE_WORDS, mutate } from './mutate.js';
import { errorFault, type FuzzTarget, shapeOf, wordsOf } from './target.js';

/** A bug: the input and what it did. */
export interface FuzzFailure {
  readonly input: Buffer;
  readonly what: string;
  readonly stack?: string;
}

/** Where a run stands. */
export interface FuzzProgress {
  readonly runs: number;
  readonly tookMs: number;
  /** Inputs that are kept, those it began with included. */
  readonly corpus: number;
  /** Inputs that were kept since the start. */
  readonly added: number;
  /** Characters of code that ran. */
  readonly coveredChars: number;
}

/** How to run. */
export interface FuzzOptions {
  readonly ms: number;
  readonly seed: number;
  readonly corpus: readonly Buffer[];
  /** Whether to say at the end what is worth keeping. */
  readonly keep: boolean;
  /** Told before each run, so that somebody else knows what hangs. */
  before(input: Buffer): void;
  /** Told about once a second. */
  onProgress(progress: FuzzProgress): void;
}

/** What a run came to. */
export interface FuzzResult extends FuzzProgress {
  readonly failure: FuzzFailure | undefined;
  /** Of the kept inputs, shrunk: those that between them run all that was run. */
  readonly kept: readonly Buffer[];
}

/** Asking for what ran is to be a small part of the time. */
const PEEKS_APART = 15;
const BATCH_MAX = 4_096;
const CORPUS_MAX = 600;
const SHAPES_MAX = 200;
const PROGRESS_MS = 1_000;
const SHRINK_MS = 3_000;
/**
 * An input of at most 64 KiB takes a few milliseconds. What takes longer than the first is run again, and only when the work of
 * the least of the tries is over the second was it not the machine.
 */
const SUSPECT_MS = 200;
const SLOW_MS = 1_000;
const TRIES = 3;
/** Buffers lie outside of the heap that a worker's limits bound. */
const EXTERNAL_BYTES_MAX = 512 * 1024 * 1024;

/** Fuzzes one target. Resolves also when a bug was found. */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzResult> {
  return new Run(target, options).run();
}

/** Runs one input and says what is wrong with what came of it. For kept inputs, and to confirm. */
export async function judge(
  target: FuzzTarget,
  input: Buffer,
): Promise<{ shape: string; fault?: FuzzFailure }> {
  try {
    return { shape: await target.run(input) };
  } catch (error) {
    const what = errorFault(target, error);
    if (what === undefined) return { shape: shapeOf(error) };
    const stack = error instanceof Error ? error.stack : undefined;
    return { shape: 'bug', fault: { input, what, ...(stack === undefined ? {} : { stack }) } };
  }
}

/** Time that this thread has had a core; where the system does not tell, time. */
function workedMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

/** Two bugs of one kind are one bug. */
function kindOf(what: string): string {
  return wordsOf(what.split('\n', 1)[0]!).slice(0, 40);
}

class Run {
  readonly #target: FuzzTarget;
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #words: readonly string[];
  readonly #corpus: Buffer[] = [];
  readonly #shapes = new Set<string>();
  readonly #coverage = new Coverage();
  readonly #startMs = performance.now();
  #reportedMs = this.#startMs;
  #peekMs = 1;
  #runs = 0;
  #added = 0;
  #failure: FuzzFailure | undefined;

  constructor(target: FuzzTarget, options: FuzzOptions) {
    this.#target = target;
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#words = [...(target.words ?? []), ...(target.words ?? []), ...HOSTILE_WORDS];
  }

  async run(): Promise<FuzzResult> {
    try {
      await this.#begin();
      let batchMax = 32;
      while (this.#failure === undefined && this.#leftMs > 0) {
        batchMax = (await this.#batch(batchMax))
          ? Math.max(32, batchMax >> 1)
          : Math.min(BATCH_MAX, batchMax * 2);
        this.#report();
      }
      if (this.#failure !== undefined) this.#failure = await this.#shrunk(this.#failure);
      const kept = this.#options.keep && this.#failure === undefined ? await this.#smallest() : [];
      return { ...this.#progress(), failure: this.#failure, kept };
    } finally {
      this.#coverage.stop();
    }
  }

  get #leftMs(): number {
    return this.#startMs + this.#options.ms - performance.now();
  }

  /** Samples and the corpus; each is worth having. */
  async #begin(): Promise<void> {
    const seeds = this.#target.seeds().map((seed) => Buffer.from(seed).subarray(0, this.#target.bytesMax));
    for (const input of [...seeds, ...this.#options.corpus]) {
      const shape = await this.#execute(input);
      if (this.#failure !== undefined) return;
      this.#shapes.add(shape);
      this.#corpus.push(input);
    }
    if (this.#corpus.length === 0) this.#corpus.push(Buffer.alloc(0));
    this.#coverage.news();
  }

  /** Many inputs between two looks at the counters. Whether something new was found. */
  async #batch(most: number): Promise<boolean> {
    const endMs = performance.now() + PEEKS_APART * this.#peekMs;
    const inputs: Buffer[] = [];
    let found = false;
    do {
      const input = this.#next();
      const shape = await this.#execute(input);
      if (this.#failure !== undefined) return true;
      if (!this.#shapes.has(shape) && this.#shapes.size < SHAPES_MAX) {
        this.#shapes.add(shape);
        this.#keep(input);
        found = true;
      } else inputs.push(input);
    } while (inputs.length < most && performance.now() < endMs);
    if (process.memoryUsage().arrayBuffers > EXTERNAL_BYTES_MAX) {
      this.#failure = { input: inputs.at(-1) ?? Buffer.alloc(0), what: 'memory outside of the heap grows' };
      return true;
    }
    return (this.#peek() > 0 && (await this.#keepNew(inputs))) || found;
  }

  #peek(): number {
    const startMs = performance.now();
    const fresh = this.#coverage.peek();
    this.#peekMs = performance.now() - startMs;
    return fresh;
  }

  /** Keeps those that run something new, found by halves: asking costs more than running. Whether there was one. */
  async #keepNew(inputs: readonly Buffer[]): Promise<boolean> {
    if (inputs.length === 0 || this.#failure !== undefined || this.#leftMs <= 0) return false;
    for (const input of inputs) await this.#execute(input);
    if (inputs.length === 1) {
      if (this.#coverage.news() === 0) return false;
      this.#keep(inputs[0]!);
      return true;
    }
    if (this.#peek() === 0) return false;
    const half = inputs.length >> 1;
    const first = await this.#keepNew(inputs.slice(0, half));
    return (await this.#keepNew(inputs.slice(half))) || first;
  }

  #next(): Buffer {
    const random = this.#random;
    const { bytesMax } = this.#target;
    // The newest half is chosen more often: it is where something moves.
    const at = random.next() < 0.5 ? random.next() : 1 - random.next() ** 2 / 2;
    const base = this.#corpus[Math.min(this.#corpus.length - 1, Math.floor(at * this.#corpus.length))]!;
    const other = this.#corpus[randomInt(random, 0, this.#corpus.length - 1)]!;
    if (random.next() < 0.5) {
      const varied = this.#target.vary?.(base, random);
      if (varied !== undefined) {
        const cut = varied.subarray(0, bytesMax);
        return random.next() < 0.8 ? cut : mutate(cut, other, this.#words, random, bytesMax);
      }
    }
    return mutate(base, other, this.#words, random, bytesMax);
  }

  async #execute(input: Buffer): Promise<string> {
    this.#options.before(input);
    const startMs = performance.now();
    const { shape, fault } = await judge(this.#target, input);
    this.#runs += 1;
    this.#failure ??= fault;
    const tookMs = performance.now() - startMs;
    if (fault === undefined && tookMs > SUSPECT_MS && (await this.#quickestMs(input, tookMs)) > SLOW_MS) {
      this.#failure = {
        input,
        what: `slow: ${input.length} bytes took over ${SLOW_MS} ms in each of ${TRIES} tries`,
      };
    }
    return shape;
  }

  async #quickestMs(input: Buffer, firstMs: number): Promise<number> {
    let best = firstMs;
    for (let tries = 1; tries < TRIES && best > SUSPECT_MS; tries += 1) {
      const startMs = workedMs();
      await judge(this.#target, input);
      best = Math.min(best, workedMs() - startMs);
    }
    return best;
  }

  #keep(input: Buffer): void {
    this.#added += 1;
    // A view would keep what it was cut from.
    const copy = Buffer.from(input);
    if (this.#corpus.length < CORPUS_MAX) this.#corpus.push(copy);
    else this.#corpus[randomInt(this.#random, 0, CORPUS_MAX - 1)] = copy;
  }

  /** Leaves out what the bug does not need. */
  async #shrunk(failure: FuzzFailure): Promise<FuzzFailure> {
    const endMs = performance.now() + SHRINK_MS;
    const isSlow = failure.what.startsWith('slow');
    if (isSlow || failure.what.startsWith('memory')) return failure;
    const kind = kindOf(failure.what);
    let best = failure;
    for (let size = best.input.length >> 1; size >= 1; size >>= 1) {
      for (let at = 0; at < best.input.length && performance.now() < endMs; ) {
        const input = Buffer.concat([best.input.subarray(0, at), best.input.subarray(at + size)]);
        this.#options.before(input);
        const { fault } = await judge(this.#target, input);
        if (fault !== undefined && kindOf(fault.what) === kind) best = fault;
        else at += size;
      }
    }
    return best;
  }

  /** Those that run something that no shorter one runs, and behind them those that only end in their own way. */
  async #smallest(): Promise<Buffer[]> {
    const fresh = new Coverage();
    const shapes = new Set<string>();
    try {
      const covering: Buffer[] = [];
      const ending: Buffer[] = [];
      // The samples are always there.
      for (const seed of this.#target.seeds()) {
        const { shape } = await judge(this.#target, Buffer.from(seed));
        shapes.add(shape);
      }
      fresh.news();
      for (const input of [...this.#corpus].sort((a, b) => a.length - b.length)) {
        this.#options.before(input);
        const { shape } = await judge(this.#target, input);
        if (fresh.news() > 0) covering.push(input);
        else if (!shapes.has(shape)) ending.push(input);
        shapes.add(shape);
      }
      return [...covering, ...ending];
    } finally {
      fresh.stop();
    }
  }

  #progress(): FuzzProgress {
    return {
      runs: this.#runs,
      tookMs: performance.now() - this.#startMs,
      corpus: this.#corpus.length,
      added: this.#added,
      coveredChars: this.#coverage.chars,
    };
  }

  #report(): void {
    if (performance.now() - this.#reportedMs < PROGRESS_MS) return;
    this.#reportedMs = performance.now();
    this.#options.onProgress(this.#progress());
  }
}
