/**
 * The original's dummy engine, answer for answer: eight layers, every prompt is the token 1, the last shard adds 1,
 * a value over 10 is the end (69), so an answer is the tokens 2, 3, …, 10, 69 and the text "dummy" ten times. It proves
 * the ring without a model. It has no KV cache; it is not a mock of a real engine.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Shard, Tensor } from '../../protocol/index.js';
import { ExoError } from '../../shared/index.js';
import type {
  EngineProfile,
  ForwardRequest,
  ForwardResult,
  InferenceEngine,
  SampledToken,
  Tokenizer,
} from '../engine.js';
import { FixedModels } from '../engine-models.js';
import { elementAt, elementCount, mapElements } from '../tensor-elements.js';
import { tokenTensor } from '../token-tensor.js';

const PROMPT_TEXT = 'dummy_tokenized_prompt';
const PROMPT_TOKEN = 1;
const EOS_TOKEN = 69;
/** Values above this end the answer. */
const LAST_VALUE = 10;
/** A few milliseconds of arithmetic. */
const ELEMENTS_PER_TURN = 64 * 1024;

const TOKENIZER: Tokenizer = {
  eosTokenIds: new Set([EOS_TOKEN]),
  encode: async () => [PROMPT_TOKEN],
  decode: (tokens) => 'dummy'.repeat(tokens.length),
  applyChatTemplate: async () => PROMPT_TEXT,
};

/** It has no weights, needs no memory, and takes no time that is worth planning with. */
const COST = { weightBytes: 0, multiplyAdds: 0, cacheBytes: 0 };
const RATE_PER_S = 1e12;

/** The models of the dummy engine. */
export const DUMMY_MODELS = new FixedModels('dummy', [
  { id: 'dummy', name: 'Dummy', layers: 8, ready: true },
]);

/** `--inference-engine dummy`. */
export class DummyEngine implements InferenceEngine {
  readonly name = 'dummy';
  readonly models = DUMMY_MODELS;
  #stopped = false;

  async start(): Promise<void> {
    this.#stopped = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
  }

  async load(shard: Shard, signal: AbortSignal): Promise<void> {
    this.#assertRunning(signal);
    const model = this.models.find(shard.modelId);
    const { startLayer, endLayer, nLayers } = shard;
    const inside = Number.isInteger(startLayer) && Number.isInteger(endLayer) && startLayer >= 0;
    if (nLayers !== model.layers || !inside || startLayer > endLayer || endLayer >= nLayers) {
      throw new ExoError(
        'engine-failed',
        `${model.id} has the layers 0 to ${model.layers - 1}; ${startLayer} to ${endLayer} of ${nLayers} is no shard of it`,
      );
    }
  }

  async profile(modelId: string, signal: AbortSignal): Promise<EngineProfile> {
    this.#assertRunning(signal);
    const { layers } = this.models.find(modelId);
    return {
      memoryBytes: Number.MAX_SAFE_INTEGER,
      bytesPerS: RATE_PER_S,
      multiplyAddsPerS: RATE_PER_S,
      layers: Array.from({ length: layers }, () => COST),
    };
  }

  async tokenizer(modelId: string, signal: AbortSignal): Promise<Tokenizer> {
    this.#assertRunning(signal);
    this.models.find(modelId);
    return TOKENIZER;
  }

  async forward(request: ForwardRequest): Promise<ForwardResult> {
    const { shard, input, signal } = request;
    await this.load(shard, signal);
    // A real engine computes outside the event loop; without this turn a long answer would hold up all I/O.
    await nextTurn();
    this.#assertRunning(signal);
    if ((input.kind === 'tokens') !== (shard.startLayer === 0)) {
      throw new ExoError('engine-failed', 'tokens enter at layer 0 and hidden states at any other layer');
    }
    const hidden = input.kind === 'tokens' ? tokensIn(input.tokens) : input.hidden;
    if (elementCount(hidden) === 0) throw new ExoError('tensor-invalid', 'the input of a step is empty');
    if (shard.endLayer < shard.nLayers - 1) {
      return { kind: 'hidden', hidden: { ...hidden, data: Buffer.from(hidden.data) } };
    }
    return { kind: 'logits', logits: await this.#addOne(hidden, signal) };
  }

  /** In turns, so that a large tensor of a stranger does not hold up the node. */
  async #addOne(hidden: Tensor, signal: AbortSignal): Promise<Tensor> {
    const count = elementCount(hidden);
    const data = Buffer.allocUnsafe(hidden.data.length);
    for (let from = 0; from < count; from += ELEMENTS_PER_TURN) {
      if (from > 0) {
        await nextTurn();
        this.#assertRunning(signal);
      }
      mapElements(hidden, data, from, Math.min(count, from + ELEMENTS_PER_TURN), (value) => value + 1);
    }
    return { ...hidden, data };
  }

  /** As the original: whatever the options say. */
  sample(logits: Tensor): SampledToken {
    const value = elementAt(logits, -1);
    if (value > LAST_VALUE) return { token: EOS_TOKEN };
    if (!Number.isInteger(value) || value < 0) {
      throw new ExoError('engine-failed', `no token can be chosen from the value ${value}`);
    }
    return { token: value };
  }

  release(): void {
    // Nothing is kept between steps.
  }

  #assertRunning(signal: AbortSignal): void {
    if (this.#stopped) throw new ExoError('engine-failed', 'the dummy engine is stopped');
    if (signal.aborted) {
      throw new ExoError('request-cancelled', 'the request was cancelled', { cause: signal.reason });
    }
  }
}

function tokensIn(tokens: readonly number[]): Tensor {
  if (tokens.length === 0) throw new ExoError('tensor-invalid', 'the input of a step is empty');
  return tokenTensor(tokens);
}
