/** An engine around another: a test sees what the ring asks of it, and can make a step wait, fail or never end. */
import type {
  EngineModels,
  EngineProfile,
  ForwardRequest,
  ForwardResult,
  InferenceEngine,
  SampledToken,
  SamplingOptions,
  SamplingPlace,
  Tokenizer,
} from '../../src/inference/index.js';
import type { Shard, Tensor } from '../../src/protocol/index.js';

export interface EngineHooks {
  /** Before each step; `step` counts from 0 over all requests. What it throws, the step throws. */
  readonly beforeForward?: (step: number, request: ForwardRequest) => Promise<void> | void;
  readonly sample?: (logits: Tensor, options: SamplingOptions) => number;
  readonly tokenizer?: Tokenizer;
}

export class WatchedEngine implements InferenceEngine {
  readonly name: string;
  readonly models: EngineModels;
  readonly released: string[] = [];
  readonly loaded: Shard[] = [];
  readonly sampled: SamplingOptions[] = [];
  readonly steps: ForwardRequest[] = [];
  readonly #inner: InferenceEngine;
  readonly #hooks: EngineHooks;

  constructor(inner: InferenceEngine, hooks: EngineHooks = {}) {
    this.#inner = inner;
    this.#hooks = hooks;
    this.name = inner.name;
    this.models = inner.models;
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }

  load(shard: Shard, signal: AbortSignal): Promise<void> {
    this.loaded.push(shard);
    return this.#inner.load(shard, signal);
  }

  profile(modelId: string, signal: AbortSignal): Promise<EngineProfile> {
    return this.#inner.profile(modelId, signal);
  }

  async tokenizer(modelId: string, signal: AbortSignal): Promise<Tokenizer> {
    const own = await this.#inner.tokenizer(modelId, signal);
    return this.#hooks.tokenizer ?? own;
  }

  async forward(request: ForwardRequest): Promise<ForwardResult> {
    const step = this.steps.push(request) - 1;
    await this.#hooks.beforeForward?.(step, request);
    return this.#inner.forward(request);
  }

  sample(logits: Tensor, options: SamplingOptions, place: SamplingPlace): SampledToken {
    this.sampled.push(options);
    const token = this.#hooks.sample?.(logits, options);
    return token === undefined ? this.#inner.sample(logits, options, place) : { token };
  }

  release(requestId: string): void {
    this.released.push(requestId);
    this.#inner.release(requestId);
  }
}
