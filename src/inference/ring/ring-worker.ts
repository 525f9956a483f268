/**
 * The work of one node in the ring: a step goes through the shard, then on to the next member; the holder of the last
 * layer chooses a token, delivers it and sends it to the first. `ring.ts` decides what gets here and who hears of it.
 */
import type { JsonObject, Result, ResultLogprobs, Tensor, TensorRequest } from '../../protocol/index.js';
import { type Clock, ExoError, LIMITS, type Random } from '../../shared/index.js';
import type { EngineInput, ForwardResult, InferenceEngine, TokenLogprobs } from '../engine.js';
import { RequestSampler } from '../sampling/index.js';
import { elementCount, sequenceLength } from '../tensor-elements.js';
import { tokensOf, tokenTensor } from '../token-tensor.js';
import { hopError } from './ring-errors.js';
import { placesOf } from './ring-plan.js';
import type { RingPort } from './ring-port.js';
import type { RingRequest } from './ring-request.js';
import type { Rest } from './step-line.js';

/** How tokens are chosen and when an answer ends. */
export interface RingWorkerOptions {
  /** `--max-generate-tokens`: an answer ends after so many tokens. */
  readonly maxGenerateTokens: number;
  /** `--default-temp`, for requests that name none. */
  readonly defaultTemperature: number;
}

/** What the worker works with. */
export interface RingWorkerComponents {
  readonly engine: InferenceEngine;
  readonly port: RingPort;
  readonly clock: Clock;
  readonly random: Random;
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
  readonly #random: Random;
  readonly #events: RingWorkerEvents;
  #queuedBytes = 0;

  constructor(options: RingWorkerOptions, components: RingWorkerComponents, events: RingWorkerEvents) {
    this.#options = options;
    this.#engine = components.engine;
    this.#port = components.port;
    this.#clock = components.clock;
    this.#random = components.random;
    this.#events = events;
  }

  /**
   * The prompt of a request, on the holder of the first layer: in parts, so that the members after it begin before it is done.
   * Resolves when it is computed and sent on, also if that failed.
   * @param tokens ids of the prompt; absent: they are made of the text here
   */
  prompt(request: RingRequest, prompt: string, tokens?: readonly number[]): Promise<void> {
    request.line.enqueue({
      run: async () => {
        const ids = tokens ?? (await (await this.#tokenizer(request)).encode(prompt, request.signal));
        const size = this.#takesParts(request) ? LIMITS.prefillChunkTokens : Math.max(ids.length, 1);
        let rest: Rest | undefined;
        for (let from = 0; from === 0 || from < ids.length; from += size) {
          if (request.ended) return undefined;
          const part = { kind: 'tokens', tokens: ids.slice(from, from + size) } as const;
          rest = await this.#compute(request, part, from + size < ids.length);
        }
        return rest;
      },
      onError: (error) => this.#events.onError(request, error),
    });
    return request.idle;
  }

  /**
   * A later step: what the member before sent. The bytes are copied, because they belong to the connection. Resolves when the
   * next one may come: at once, unless this member is slower than the one before. Of a token, which has no next one before it is
   * all around, with what is sent back to that member, if that comes soon.
   * @param from the member before, where it is known
   * @param more a part of the prompt that is not the last: no token is chosen after it
   * Throws `tensor-invalid` or `overloaded`; then nothing was taken over.
   */
  tensor(request: RingRequest, tensor: Tensor, from: string | null, more = false): Promise<void> {
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
    const input = request.isFirst ? tokensOf(tensor) : { ...tensor, data: Buffer.from(tensor.data) };
    if (!more && sequenceLength(tensor) === 1 && this.#goesBackSoon(request, from)) {
      return this.#soon((whenOver) => this.#enqueue(request, input, more, whenOver));
    }
    this.#enqueue(request, input, more);
    return this.#room(request);
  }

  /** An old peer says nothing else until it is answered; and an answer that is missing for long makes every cut a lost step. */
  #goesBackSoon(request: RingRequest, from: string | null): boolean {
    if (from === null || request.next?.nodeId !== from) return false;
    return request.stepMs <= LIMITS.ringHeldStepMs && this.#port.isNew(from);
  }

  /** Resolves when the step that is begun has been computed and sent on, or after `ringAnswerMs`. */
  #soon(begin: (whenOver: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(LIMITS.ringAnswerMs, resolve);
      const whenOver = () => {
        timer.cancel();
        resolve();
      };
      try {
        begin(whenOver);
      } catch (error) {
        timer.cancel();
        throw error;
      }
    });
  }

  /** @param whenOver is called later, in whatever way the step ends */
  #enqueue(
    request: RingRequest,
    input: readonly number[] | Tensor,
    more = false,
    whenOver?: () => void,
  ): void {
    const isTensor = 'data' in input;
    const bytes = isTensor ? input.data.length : 0;
    const step = isTensor
      ? ({ kind: 'hidden', hidden: input } as const)
      : ({ kind: 'tokens', tokens: input } as const);
    this.#queuedBytes += bytes;
    try {
      request.line.enqueue({
        run: () => this.#compute(request, step, more),
        onError: (error) => this.#events.onError(request, error),
        onDone: () => {
          this.#queuedBytes -= bytes;
          whenOver?.();
        },
      });
    } catch (error) {
      this.#queuedBytes -= bytes;
      throw error;
    }
  }

  /** The member before waits here while this one has enough to do, but not until its own deadline passes. */
  #room(request: RingRequest): Promise<void> {
    if (request.line.hasRoom) return Promise.resolve();
    const room = request.line.room();
    return new Promise((resolve) => {
      const timer = this.#clock.after(LIMITS.ringHoldMs, resolve);
      void room.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** Asks the engine before it waits for anything, once the shard is loaded. */
  async #compute(request: RingRequest, input: EngineInput, more: boolean): Promise<Rest | undefined> {
    const { requestId, position, signal } = request;
    if (position >= request.lengthMax) return undefined;
    const { shard } = request.own();
    if (!request.isLoaded) await this.#engine.load(shard, signal);
    request.isLoaded = true;
    const tokens = input.kind === 'tokens' ? input.tokens.length : sequenceLength(input.hidden);
    request.position += tokens;
    const isGreedy = request.isLast && !more && this.#samplerOf(request).isGreedy;
    const fromMs = this.#clock.now();
    const output = await this.#engine.forward({ requestId, shard, input, position, signal, isGreedy });
    if (request.ended) return undefined;
    request.activeAtMs = this.#clock.now();
    if (tokens === 1) request.stepMs = request.activeAtMs - fromMs;
    if ((output.kind === 'hidden') === request.isLast || (output.kind === 'token' && !isGreedy)) {
      throw new ExoError('engine-failed', `layers ${shard.startLayer}-${shard.endLayer} gave ${output.kind}`);
    }
    if (output.kind !== 'hidden') return more ? undefined : this.#choose(request, output);
    await this.#hand(request, request.place + 1, output.hidden, more);
    return undefined;
  }

  /** The next step begins, here or at the first member, before anybody is told of the token. */
  async #choose(
    request: RingRequest,
    output: Exclude<ForwardResult, { kind: 'hidden' }>,
  ): Promise<Rest | undefined> {
    request.eosTokenIds ??= (await this.#tokenizer(request)).eosTokenIds;
    const sampler = this.#samplerOf(request);
    const { token, index, logprobs } =
      output.kind === 'token' ? sampler.took(output.token) : sampler.next(this.#engine, output.logits);
    const isFinished = request.eosTokenIds.has(token) || index + 1 >= this.#options.maxGenerateTokens;
    const tell = () =>
      this.#events.onResult(request, {
        kind: 'result',
        requestId: request.requestId,
        result: [token],
        isFinished,
        index,
        ...(logprobs === undefined ? {} : { logprobs: [logprobsToWire(logprobs)] }),
      });
    if (request.ended) return undefined;
    if (isFinished || request.position >= request.lengthMax) return tell;
    if (request.isFirst) {
      this.#enqueue(request, [token]);
      return tell;
    }
    const handed = this.#hand(request, 0, tokenTensor([token]));
    tell();
    await handed;
    return undefined;
  }

  /** Begins with the state that came with the first step of which a token is chosen. */
  #samplerOf(request: RingRequest): RequestSampler {
    const { defaultTemperature } = this.#options;
    request.sampler ??= new RequestSampler(request.inferenceState, defaultTemperature, this.#random);
    return request.sampler;
  }

  /** Resolves when the sending has begun: the next step is computed meanwhile. */
  async #hand(request: RingRequest, place: number, tensor: Tensor, more = false): Promise<void> {
    const target = request.ring[place];
    if (target === undefined) throw new ExoError('internal', `the ring has no place ${place}`);
    const { requestId, origin, signal, line } = request;
    await line.send(
      async () => {
        const first = !request.told.has(target.nodeId);
        const message: TensorRequest = {
          kind: 'tensor-request',
          shard: target.shard,
          tensor,
          requestId,
          inferenceState: this.#stateFor(request, target.nodeId),
          ...(origin === undefined ? {} : { origin }),
          ...(first && place > 0 ? { first } : {}),
          ...(first && place > 0 && request.isTold ? { ring: placesOf(request.ring) } : {}),
          ...(more ? { more } : {}),
        };
        try {
          await this.#port.sendTensor(target.nodeId, message, signal);
        } catch (error) {
          throw hopError(target.nodeId, error);
        }
      },
      (error) => this.#events.onError(request, error),
    );
  }

  /** A new member keeps the state that it was sent; an old one must be sent it with each tensor. */
  #stateFor(request: RingRequest, nodeId: string): JsonObject | null {
    const isTold = request.told.has(nodeId);
    request.told.add(nodeId);
    return isTold && this.#port.isNew(nodeId) ? null : request.inferenceState;
  }

  /** An old member would choose a token after each part, and one between two new members would forget the mark of a part. */
  #takesParts({ ring }: RingRequest): boolean {
    return ring.every(({ nodeId }) => nodeId === this.#port.selfId || this.#port.isNew(nodeId));
  }

  #tokenizer(request: RingRequest) {
    return this.#engine.tokenizer(request.model.id, request.signal);
  }
}

function logprobsToWire({ logprob, top }: TokenLogprobs): ResultLogprobs {
  return { logprob, top: top.map((each) => [each.token, each.logprob] as const) };
}
