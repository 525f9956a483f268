/**
 * A model of eight layers with a cache, small enough to count: what a layer gives for a place depends on all places before it, the
 * same whatever the shards, and however a prompt is cut. A step that does not continue the cache is refused, as the real engine does.
 */
import {
  createEngine,
  DUMMY_MODELS,
  type EngineProfile,
  type ForwardRequest,
  type ForwardResult,
  type InferenceEngine,
  type SampledToken,
  type SamplingOptions,
  type SamplingPlace,
  type Tokenizer,
} from '../../src/inference/index.js';
import { sampleLogits } from '../../src/inference/sampling/sampler.js';
import type { Shard, Tensor } from '../../src/protocol/index.js';
import { type Clock, ExoError, sleep } from '../../src/shared/index.js';

const VOCAB = 48;
const EOS = 0;

export interface StatefulEngineOptions {
  /** Computing takes so long for each element of a step. @default 0 */
  readonly elementMs?: number;
  /** Before each step, which waits for what it returns; what it throws, the step throws. */
  readonly before?: (request: ForwardRequest) => void | Promise<void>;
}

interface Cache {
  length: number;
  /** One state for each layer of the shard. */
  readonly states: Uint32Array;
}

export class StatefulEngine implements InferenceEngine {
  readonly name = 'dummy';
  readonly models = DUMMY_MODELS;
  /** What was computed when: for tests of how steps overlap. */
  readonly steps: Array<{
    requestId: string;
    position: number;
    count: number;
    fromMs: number;
    toMs: number;
  }> = [];
  readonly #caches = new Map<string, Cache>();
  readonly #clock: Clock;
  readonly #options: StatefulEngineOptions;

  constructor(clock: Clock, options: StatefulEngineOptions = {}) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Requests with a cache. */
  get size(): number {
    return this.#caches.size;
  }

  /** All caches are gone, as after a restart of the process that computes. */
  forget(): void {
    this.#caches.clear();
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#caches.clear();
  }

  async load(shard: Shard): Promise<void> {
    this.models.find(shard.modelId);
  }

  profile(modelId: string, signal: AbortSignal): Promise<EngineProfile> {
    return createEngine('dummy').profile(modelId, signal);
  }

  async tokenizer(): Promise<Tokenizer> {
    return TOKENIZER;
  }

  async forward(request: ForwardRequest): Promise<ForwardResult> {
    const { requestId, shard, input, position, signal } = request;
    const fromMs = this.#clock.now();
    const held = this.#options.before?.(request);
    if (held !== undefined) await held;
    const values = input.kind === 'tokens' ? Uint32Array.from(input.tokens) : wordsOf(input.hidden);
    const ms = (this.#options.elementMs ?? 0) * values.length;
    await sleep(this.#clock, Math.max(ms, 1), signal).catch((cause) => {
      throw new ExoError('request-cancelled', 'the request was cancelled', { cause });
    });
    const layers = shard.endLayer - shard.startLayer + 1;
    const cache = this.#caches.get(requestId) ?? { length: 0, states: new Uint32Array(layers) };
    if (cache.length !== position || cache.states.length !== layers) {
      throw new ExoError(
        'engine-failed',
        `a step at ${position} with ${layers} layers does not continue a cache of ${cache.length}`,
        { retryable: true },
      );
    }
    this.#caches.set(requestId, cache);
    const out = values.map((value) => this.#through(cache, shard.startLayer, value));
    cache.length += values.length;
    this.steps.push({ requestId, position, count: values.length, fromMs, toMs: this.#clock.now() });
    if (shard.endLayer < shard.nLayers - 1) return { kind: 'hidden', hidden: hiddenOf(out) };
    const logits = logitsOf(out[out.length - 1]!);
    if (request.isGreedy !== true) return { kind: 'logits', logits };
    const { token } = this.sample(logits, { temperature: 0 }, { seed: 0, index: 0 });
    return { kind: 'token', token };
  }

  sample(logits: Tensor, options: SamplingOptions, place: SamplingPlace): SampledToken {
    return sampleLogits(logits, options, place);
  }

  release(requestId: string): void {
    this.#caches.delete(requestId);
  }

  #through({ states }: Cache, startLayer: number, value: number): number {
    let x = value;
    for (let layer = 0; layer < states.length; layer += 1) {
      states[layer] = mix(states[layer]! ^ mix(x + (startLayer + layer) * 0x9e3779b9));
      x = states[layer]!;
    }
    return x;
  }
}

const TOKENIZER: Tokenizer = {
  eosTokenIds: new Set([EOS]),
  encode: async (text) => [...Buffer.from(text)].map((byte) => 1 + (byte % (VOCAB - 1))),
  decode: (tokens) => tokens.map((token) => ` ${token}`).join(''),
  applyChatTemplate: async (messages) => messages.map(({ content }) => content).join('\n'),
};

/** The end cannot come: answers end at the limit, which all attempts of one answer share. */
function logitsOf(state: number): Tensor {
  const logits = Float32Array.from({ length: VOCAB }, (_, id) => (mix(state + id) / 2 ** 32) * 6);
  logits[EOS] = Number.NEGATIVE_INFINITY;
  return { shape: [VOCAB], dtype: 'float32', data: Buffer.from(logits.buffer) };
}

function hiddenOf(words: Uint32Array): Tensor {
  return { shape: [1, words.length, 1], dtype: 'uint32', data: Buffer.from(words.buffer) };
}

function wordsOf(tensor: Tensor): Uint32Array {
  const bytes = Uint8Array.from(tensor.data);
  return new Uint32Array(bytes.buffer);
}

function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}
