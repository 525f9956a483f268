/**
 * The work of one node in the ring: a step goes through the shard, then on to the next member; the holder of the last
 * layer chooses a token, delivers it and sends it to the first. `ring.ts` decides what gets here and who hears of it.
 */
import type { Result, Tensor } from '../protocol/index.js';
import { type Clock, ExoError, LIMITS } from '../shared/index.js';
import type { EngineInput, InferenceEngine } from './engine.js';
import { hopError } from './ring-errors.js';
import type { RingPort } from './ring-port.js';
import type { RingRequest } from './ring-request.js';
import { samplingOf } from './sampling-state.js';
import { elementCount, sequenceLength } from './tensor-elements.js';
import { tokensOf, tokenTensor } from './token-tensor.js';

/** How tokens are chosen and when an answer ends. */
export interface RingWorkerOptions {
  /** `--max-generate-tokens`: an answer ends after so many tokens. */
  readonly maxGenerateTokens: number;
  /** `--default-temp`, for requests that name none. */
  readonly defaultTemperature: number;
}

/** Where the worker reports. */
export interface RingWorkerEvents {
  /** A token was chosen. */
  onResult(request: RingRequest, result: Result): void;
  /** A step failed; called at most once for each step. */
  onError(request: RingRequest, error: unknown): void;
}

/** Runs steps; those of one request in order, those of different requests at once. */
export class RingWorker {
  readonly #options: RingWorkerOptions;
  readonly #engine: InferenceEngine;
  readonly #port: RingPort;
  readonly #clock: Clock;
  readonly #events: RingWorkerEvents;
  #queuedBytes = 0;

  constructor(
    options: RingWorkerOptions,
    components: { readonly engine: InferenceEngine; readonly port: RingPort; readonly clock: Clock },
    events: RingWorkerEvents,
  ) {
    this.#options = options;
    this.#engine = components.engine;
    this.#port = components.port;
    this.#clock = components.clock;
    this.#events = events;
  }

  /** The first step of a request, on the holder of the first layer. Resolves when that step is over, also if it failed. */
  prompt(request: RingRequest, prompt: string, tokens?: readonly number[]): Promise<void> {
    request.enqueue(
      async () => {
        const ids = tokens ?? (await this.#tokenizer(request)).encode(prompt);
        await this.#compute(request, { kind: 'tokens', tokens: ids });
      },
      (error) => this.#events.onError(request, error),
    );
    return request.idle;
  }

  /**
   * A later step: what the member before sent. The bytes are copied, because they belong to the connection.
   * Throws `tensor-invalid` or `overloaded`; then nothing was taken over.
   */
  tensor(request: RingRequest, tensor: Tensor): void {
    const bytes = tensor.data.length;
    elementCount(tensor);
    if (this.#queuedBytes + bytes > LIMITS.ringQueueBytesMax) {
      throw new ExoError(
        'overloaded',
        `${this.#queuedBytes} bytes of tensors wait on this node; try again later`,
        {
          retryable: true,
        },
      );
    }
    this.#enqueue(
      request,
      request.isFirst ? tokensOf(tensor) : { ...tensor, data: Buffer.from(tensor.data) },
    );
  }

  #enqueue(request: RingRequest, input: readonly number[] | Tensor): void {
    const isTensor = 'data' in input;
    const bytes = isTensor ? input.data.length : 0;
    const step = isTensor
      ? ({ kind: 'hidden', hidden: input } as const)
      : ({ kind: 'tokens', tokens: input } as const);
    request.enqueue(
      () => this.#compute(request, step),
      (error) => this.#events.onError(request, error),
    );
    if (bytes === 0) return;
    this.#queuedBytes += bytes;
    void request.idle.then(() => {
      this.#queuedBytes -= bytes;
    });
  }

  async #compute(request: RingRequest, input: EngineInput): Promise<void> {
    const { requestId, position, signal } = request;
    const { shard } = request.own();
    await this.#engine.load(shard, signal);
    request.position += input.kind === 'tokens' ? input.tokens.length : sequenceLength(input.hidden);
    const output = await this.#engine.forward({ requestId, shard, input, position, signal });
    if (request.ended) return;
    request.activeAtMs = this.#clock.now();
    if ((output.kind === 'logits') !== request.isLast) {
      throw new ExoError('engine-failed', `layers ${shard.startLayer}-${shard.endLayer} gave ${output.kind}`);
    }
    if (output.kind === 'logits') await this.#choose(request, output.logits);
    else await this.#hand(request, request.place + 1, output.hidden);
  }

  async #choose(request: RingRequest, logits: Tensor): Promise<void> {
    const { eosTokenIds } = await this.#tokenizer(request);
    const token = this.#engine.sample(
      logits,
      samplingOf(request.inferenceState, this.#options.defaultTemperature),
    );
    const index = request.sampled;
    request.sampled += 1;
    const isFinished = eosTokenIds.has(token) || request.sampled >= this.#options.maxGenerateTokens;
    this.#events.onResult(request, {
      kind: 'result',
      requestId: request.requestId,
      result: [token],
      isFinished,
      index,
    });
    if (isFinished || request.ended) return;
    if (request.isFirst) this.#enqueue(request, [token]);
    else await this.#hand(request, 0, tokenTensor([token]));
  }

  async #hand(request: RingRequest, place: number, tensor: Tensor): Promise<void> {
    const target = request.ring[place];
    if (target === undefined) throw new ExoError('internal', `the ring has no place ${place}`);
    const { requestId, inferenceState, origin, signal } = request;
    try {
      await this.#port.sendTensor(
        target.nodeId,
        {
          kind: 'tensor-request',
          shard: target.shard,
          tensor,
          requestId,
          inferenceState,
          ...(origin === undefined ? {} : { origin }),
        },
        signal,
      );
    } catch (error) {
      throw hopError(target.nodeId, error);
    }
  }

  #tokenizer(request: RingRequest) {
    return this.#engine.tokenizer(request.model.id, request.signal);
  }
}
