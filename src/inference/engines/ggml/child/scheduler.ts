/**
 * Steps of all requests, run after run: what waits for the same shard is computed together or in groups, a long prompt in parts.
 * Checks that a step continues its cache. Knows nothing of the pipe to the node. Called by `program.ts`.
 */
import { BoundedMap, type Clock, ExoError, LIMITS, toExoError } from '../../../../shared/index.js';
import type { CachePool } from '../cache/cache-pool.js';
import type { SequenceCache } from '../cache/sequence-cache.js';
import type { Shard } from '../shard.js';
import { type BatchPart, chooseBatch } from './batch.js';
import type { CoreTurns } from './core-turns.js';
import { Lingering } from './lingering.js';
import { MicroBatches } from './micro-batches.js';
import type { TimedStep } from './speed.js';

/** What is asked of a shard. */
export type ComputedShard = Pick<
  Shard,
  'architecture' | 'cacheShape' | 'cost' | 'isFirst' | 'isLast' | 'embed' | 'step'
>;

/** One step of one request. */
export interface Step {
  readonly requestId: string;
  readonly shardKey: string;
  readonly shard: ComputedShard;
  readonly position: number;
  /** Tokens, for the first shard, or [sequence, hidden]. */
  readonly input: { readonly tokens: Int32Array } | { readonly hidden: Float32Array };
  /** Where logits are to be; absent: in memory of their own. */
  readonly into?: Float32Array;
}

/** Whose turn it is among the engines of this machine. */
export type Turns = Pick<CoreTurns, 'take' | 'isShared'>;

/** What the scheduler asks. */
export interface SchedulerComponents {
  readonly pool: CachePool;
  readonly clock: Clock;
  readonly turns: Turns;
  /** A run has computed. */
  readonly onStep?: (shardKey: string, step: TimedStep) => void;
}

/** What is known of the steps of one shard. */
interface Flow {
  readonly lingering: Lingering;
  readonly microBatches: MicroBatches;
}

interface WaitingStep extends Step {
  readonly sequence: number;
  remaining: number;
  /** From the first part on. */
  cache: SequenceCache | undefined;
  /** [sequence, hidden] of a shard that is not the last. */
  output: Float32Array | undefined;
  readonly resolve: (values: Float32Array) => void;
  readonly reject: (error: ExoError) => void;
}

/** The order of things in an engine's process. */
export class Scheduler {
  readonly #pool: CachePool;
  readonly #clock: Clock;
  readonly #turns: Turns;
  readonly #onStep: SchedulerComponents['onStep'];
  /** Runs between two runs. */
  #others: (() => Promise<void>)[] = [];
  #waiting: WaitingStep[] = [];
  readonly #flows = new BoundedMap<string, Flow>(LIMITS.engineModelsKept);
  #isRunning = false;
  /** What computes now. */
  #current: ComputedShard | undefined;
  #afterRun: (() => void)[] = [];
  #wake: () => void = () => undefined;

  constructor(components: SchedulerComponents) {
    this.#pool = components.pool;
    this.#clock = components.clock;
    this.#turns = components.turns;
    this.#onStep = components.onStep;
  }

  /**
   * Computes a step: [sequence, hidden], or [vocab] from the last shard. Throws `tensor-invalid`, `engine-failed`,
   * `overloaded` or `prompt-too-long`.
   */
  submit(step: Step): Promise<Float32Array> {
    const { input, shard, requestId } = step;
    const { hidden } = shard.architecture;
    const sequence = 'tokens' in input ? input.tokens.length : input.hidden.length / hidden;
    return new Promise((resolve, reject) => {
      const output = shard.isLast ? undefined : new Float32Array(sequence * hidden);
      this.#waiting.push({
        ...step,
        sequence,
        remaining: sequence,
        cache: undefined,
        output,
        resolve,
        reject,
      });
      this.#flowOf(step.shardKey).lingering.arrived(requestId, this.#clock.now());
      this.#wake();
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Frees what a request has; its steps that wait are rejected. */
  release(requestId: string): void {
    this.cancel(requestId);
    this.#pool.release(requestId);
    for (const [, { lingering }] of this.#flows) lingering.forget(requestId);
    // It may be the one that is waited for.
    this.#wake();
  }

  /** Rejects the steps of a request that wait; a run is not interrupted, and its result is nobody's. */
  cancel(requestId: string): void {
    for (const step of this.#waiting) {
      if (step.requestId === requestId)
        step.reject(new ExoError('request-cancelled', 'the request was cancelled'));
    }
    this.#waiting = this.#waiting.filter((step) => step.requestId !== requestId);
    this.#wake();
  }

  /** Work that computes on the device too, while no step does. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#others.push(() => work().then(resolve, reject));
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Resolves when no step runs on that shard or waits for it; whoever asks sees to it that no more come. */
  async drained(shard: ComputedShard): Promise<void> {
    while (this.#current === shard || this.#waiting.some((step) => step.shard === shard)) {
      await new Promise<void>((resolve) => this.#afterRun.push(resolve));
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Steps that came in the same turn of the event loop are all here when the first run begins.
    await Promise.resolve();
    while (this.#waiting.length > 0 || this.#others.length > 0) {
      if (this.#waiting.length > 0) await this.#linger(this.#waiting[0]!.shardKey);
      await this.#turns.take((hasWaited) => this.#turn(hasWaited));
      for (const resolve of this.#afterRun.splice(0)) resolve();
    }
    this.#isRunning = false;
  }

  /** Computes once what waits. */
  async #turn(hasWaited: boolean): Promise<void> {
    for (const work of this.#others.splice(0)) await work();
    // What another engine has just computed of the same answers is on its way here.
    if (hasWaited && this.#waiting.length > 0)
      await this.#linger(this.#waiting[0]!.shardKey, this.#clock.now());
    const size = this.#waiting.length > 0 ? this.#groupSize(this.#waiting[0]!.shardKey) : undefined;
    const parts = chooseBatch(this.#waiting, size).filter(({ step }) => this.#admit(step));
    if (parts.length === 0) return;
    // In whatever order they came: the same requests have the same graph.
    parts.sort((a, b) => a.step.cache!.generation - b.step.cache!.generation);
    const { shardKey, shard } = parts[0]!.step;
    for (const { step } of parts) this.#pool.hold(step.cache!);
    this.#current = shard;
    const fromMs = this.#clock.now();
    try {
      const results = await shard.step(parts.map(stepInput));
      const tookMs = this.#clock.now() - fromMs;
      this.#finish(parts, results);
      // Who waits has the result before the books are done.
      await Promise.resolve();
      this.#onStep?.(shardKey, timed(shard, parts, tookMs));
    } catch (error) {
      for (const { step } of parts) this.#fail(step, toExoError(error, 'engine-failed'));
    }
    this.#current = undefined;
    // Who was released meanwhile does not come back.
    const ids = parts
      .map(({ step }) => step)
      .filter(({ requestId, cache }) => this.#pool.find(requestId, shardKey) === cache)
      .map(({ requestId }) => requestId);
    for (const { step } of parts) this.#pool.letGo(step.cache!);
    const nowMs = this.#clock.now();
    const { lingering, microBatches } = this.#flowOf(shardKey);
    // Prompts take longer than the steps that come back after them.
    const runMs = parts.every(({ tokens }) => tokens === 1) ? nowMs - fromMs : 0;
    if (runMs > 0) microBatches.ran(parts.length, runMs, nowMs);
    lingering.ended(ids, nowMs, runMs);
  }

  /** @param turnMs when this engine's turn came, if it had to wait for it */
  async #linger(shardKey: string, turnMs?: number): Promise<void> {
    const sinceMs = this.#clock.now();
    for (;;) {
      const waitMs = this.#waitMs(shardKey, sinceMs, turnMs);
      if (waitMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(waitMs, resolve);
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
      this.#wake = () => undefined;
    }
  }

  #waitMs(shardKey: string, sinceMs: number, turnMs?: number): number {
    const here = this.#here(shardKey);
    if (here.size === 0) return 0;
    const { lingering } = this.#flowOf(shardKey);
    const nowMs = this.#clock.now();
    const hasPrompt = this.#waiting.some((step) => step.shardKey === shardKey && step.remaining > 1);
    if (this.#turns.isShared || hasPrompt) return lingering.waitMs(here, nowMs, turnMs);
    const size = this.#groupSize(shardKey);
    if (size === undefined)
      return Math.max(lingering.waitMs(here, nowMs), lingering.dueMs(here, nowMs, sinceMs, true));
    return here.size < size ? lingering.dueMs(here, nowMs, sinceMs, false) : 0;
  }

  /** Requests with a step that waits. */
  #here(shardKey: string): ReadonlySet<string> {
    const here = this.#waiting.filter((step) => step.shardKey === shardKey);
    return new Set(here.map(({ requestId }) => requestId));
  }

  /** How many should decode in the next run; undefined: all. Engines that take turns have nothing of it when there are fewer. */
  #groupSize(shardKey: string): number | undefined {
    if (this.#turns.isShared) return undefined;
    const { lingering, microBatches } = this.#flowOf(shardKey);
    const nowMs = this.#clock.now();
    const requests = lingering.decoding(this.#here(shardKey), nowMs);
    return microBatches.size(requests, lingering.restMs(nowMs), nowMs);
  }

  /** Gives a step its cache, with room, when it continues it; rejects it otherwise. */
  #admit(step: WaitingStep): boolean {
    const { requestId, shardKey, shard, position, sequence, input } = step;
    const cache = this.#pool.find(requestId, shardKey);
    if (step.cache !== undefined) return true;
    try {
      const positions = position + sequence;
      const { contextLength, vocab } = shard.architecture;
      // Here, so that it fails this step and not all that are in a run with it.
      if ('tokens' in input) checkTokens(input.tokens, vocab);
      if (positions > contextLength) {
        throw new ExoError(
          'prompt-too-long',
          `the request has ${positions} tokens, and the model was made for ${contextLength}; shorten it`,
        );
      }
      checkContinues(cache, position);
      if (cache !== undefined) this.#pool.extend(cache, positions);
      step.cache = cache ?? this.#pool.open(requestId, shardKey, shard.cacheShape, positions);
      return true;
    } catch (error) {
      this.#fail(step, toExoError(error, 'engine-failed'));
      return false;
    }
  }

  #finish(parts: readonly BatchPart<WaitingStep>[], results: readonly (Float32Array | undefined)[]): void {
    for (const [index, { step, tokens }] of parts.entries()) {
      const values = results[index];
      const from = step.sequence - step.remaining;
      step.remaining -= tokens;
      if (values !== undefined) step.output?.set(values, from * step.shard.architecture.hidden);
      if (step.remaining > 0) continue;
      this.#waiting = this.#waiting.filter((other) => other !== step);
      step.resolve(step.output ?? values!);
    }
  }

  #fail(step: WaitingStep, error: ExoError): void {
    this.#waiting = this.#waiting.filter((other) => other !== step);
    step.reject(error);
  }

  #flowOf(shardKey: string): Flow {
    let flow = this.#flows.get(shardKey);
    if (flow === undefined) {
      flow = { lingering: new Lingering(), microBatches: new MicroBatches() };
      this.#flows.set(shardKey, flow);
    }
    return flow;
  }
}

function timed({ cost }: ComputedShard, parts: readonly BatchPart<WaitingStep>[], ms: number): TimedStep {
  const tokens = parts.reduce((sum, part) => sum + part.tokens, 0);
  return { ...cost, tokens, requests: parts.length, seconds: ms / 1000 };
}

function stepInput({ step, tokens }: BatchPart<WaitingStep>) {
  const { into, input, shard, sequence, remaining } = step;
  const from = sequence - remaining;
  const { hidden } = shard.architecture;
  return {
    cache: step.cache!,
    sequence: tokens,
    wantsLogits: shard.isLast && tokens === remaining,
    ...(into && { into }),
    hidden:
      'tokens' in input
        ? shard.embed(input.tokens.subarray(from, from + tokens))
        : input.hidden.subarray(from * hidden, (from + tokens) * hidden),
  };
}

function checkTokens(tokens: Int32Array, vocab: number): void {
  const wrong = tokens.find((token) => token < 0 || token >= vocab);
  if (wrong === undefined) return;
  throw new ExoError('tensor-invalid', `token ${wrong} is not one of the ${vocab} of the model`);
}

function checkContinues(cache: SequenceCache | undefined, position: number): void {
  if ((cache?.length ?? 0) === position) return;
  if (cache === undefined) {
    // The process was started anew, or the cache was abandoned: the same request from its start succeeds.
    throw new ExoError(
      'engine-failed',
      `nothing is cached of a request that goes on at position ${position}; begin it anew`,
      { retryable: true },
    );
  }
  throw new ExoError(
    'engine-failed',
    `a step for position ${position} does not continue the ${cache.length} positions that are cached`,
  );
}
