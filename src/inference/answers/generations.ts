/**
 * The answers that this node serves: chat in, `Generation` out. The API and `exo run` call it; below it is the ring.
 */
import {
  type Clock,
  ExoError,
  LIMITS,
  type Logger,
  printable,
  type Random,
  randomUuid,
  untilAnyAborted,
} from '../../shared/index.js';
import type { ChatMessage, InferenceEngine } from '../engine.js';
import { learnWithin, type ModelEntry, meantModel, resolveModel } from '../engine-models.js';
import type { Placement } from '../placement.js';
import type { PlanRecord, RingPlan, RingPlanner } from '../planner/index.js';
import { type Ring, ringError } from '../ring/index.js';
import type { RequestedSampling } from '../sampling/index.js';
import { answerTokensMax, assertFew, contextOf } from './context-length.js';
import { type Generation, RunningGeneration } from './generation.js';
import { GenerationAttempts } from './generation-attempts.js';
import { choosePlacement, explained } from './own-placement.js';

/** Settings of all answers of this node. */
export interface GenerationsOptions {
  /** `--default-model`; absent: the engine's own. */
  readonly defaultModel?: string | undefined;
  /** `--system-prompt`; put in front of a conversation that has none. */
  readonly systemPrompt?: string | undefined;
  /** `--chatgpt-api-response-timeout` in milliseconds, for a whole answer. */
  readonly responseTimeoutMs: number;
  /** False, for tests: an answer that has begun ends when its ring breaks. @default true */
  readonly recovery?: boolean | undefined;
  /** `--max-context`: prompt and answer together, where the model was made for more. @default what the model was made for */
  readonly contextTokensMax?: number | undefined;
  /** Where answers are computed whose request does not say it. @default auto */
  readonly placement?: Placement | undefined;
}

/** What the answers are made with. */
export interface GenerationsComponents {
  readonly ring: Ring;
  readonly planner: Pick<RingPlanner, 'plan' | 'record'>;
  readonly engine: InferenceEngine;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A question, and how to sample its answer; a temperature that is absent is `--default-temp` of the node that samples. */
export type GenerationRequest = {
  /** `gpt-*` and empty: the default model. */
  readonly model?: string;
  /** At least 1. Absent: `--max-generate-tokens` of the node that samples. */
  readonly maxTokens?: number;
  readonly signal?: AbortSignal;
  /** Unique in the mesh. @default a new UUID */
  readonly requestId?: string;
  /** Where it is computed. @default the node's own setting */
  readonly placement?: Placement;
} & RequestedSampling &
  ({ readonly messages: readonly ChatMessage[] } | { readonly prompt: string });

/** A model that can be asked for. */
export interface AvailableModel {
  readonly id: string;
  readonly name: string;
  readonly nLayers: number;
  /** Of prompt and answer together, `--max-context` considered. */
  readonly contextTokens?: number;
  /** It can answer without a download. */
  readonly ready: boolean;
  /** Why it cannot be computed. */
  readonly unusable?: string;
}

/** A conversation as the model reads it. */
export interface EncodedChat {
  readonly prompt: string;
  readonly tokens: readonly number[];
}

/** Where a model would be computed. */
export interface PlannedModel {
  readonly model: string;
  readonly plan: RingPlan;
}

/** How a plan is asked for. */
export interface PlanAsked {
  /** The small files of a model that is not known may be fetched, here and on trusted nodes. @default false */
  readonly mayFetch?: boolean;
  /** @default the node's own setting */
  readonly placement?: Placement;
  readonly signal?: AbortSignal;
}

/** Of a question for a plan: a short conversation. */
const PLANNED_PROMPT_TOKENS = 256;

/** All answers of this node. */
export class Generations {
  readonly #options: GenerationsOptions;
  readonly #parts: GenerationsComponents;
  /** Undefined while it is being prepared. */
  readonly #running = new Map<string, RunningGeneration | undefined>();
  readonly #stop = new AbortController();

  constructor(options: GenerationsOptions, components: GenerationsComponents) {
    this.#options = options;
    this.#parts = components;
  }

  /** Answers that run or are being prepared. */
  get size(): number {
    return this.#running.size;
  }

  /** What computes on this node. */
  get engine(): { readonly name: string; readonly state?: string } {
    const { name, state } = this.#parts.engine;
    return { name, ...(state === undefined ? {} : { state }) };
  }

  /** What `gpt-*` and a request without a model mean. */
  get defaultModel(): string {
    return meantModel(undefined, this.#parts.engine.models, this.#options.defaultModel);
  }

  /**
   * Resolves when the ring has taken the prompt over. Rejects with `model-unknown`, `overloaded`, `prompt-too-long`,
   * `protocol-violation` (id in use), `request-cancelled`, what the first node says, or, when the nodes did not come to
   * one ring within `LIMITS.generationRetryMs`, `ring-incomplete` or `peer-lost`.
   */
  async start(request: GenerationRequest): Promise<Generation> {
    const requestId = request.requestId ?? randomUuid(this.#parts.random);
    this.#stop.signal.throwIfAborted();
    this.#admit(requestId);
    try {
      return await untilAnyAborted([this.#stop.signal, request.signal], (signal) =>
        this.#run(requestId, request, signal),
      );
    } catch (error) {
      this.#running.delete(requestId);
      throw error;
    }
  }

  /** Ends all answers with `request-cancelled`, and takes no more. */
  async stop(): Promise<void> {
    const error = new ExoError('request-cancelled', 'the node is stopping');
    this.#stop.abort(error);
    for (const generation of this.#running.values()) generation?.fail(error);
  }

  /** The models that a request may name. */
  models(): readonly AvailableModel[] {
    const { contextTokensMax } = this.#options;
    return this.#parts.engine.models.list().map(({ layers, contextTokens: _, ...model }, index, list) => {
      const contextTokens = contextOf(list[index]!, contextTokensMax);
      const ready = model.ready && model.unusable === undefined;
      return { ...model, ready, nLayers: layers, ...(contextTokens === undefined ? {} : { contextTokens }) };
    });
  }

  /** Where the last answers were computed, what was predicted of them and what came of it; oldest first. */
  get plans(): PlanRecord {
    return this.#parts.planner.record;
  }

  /**
   * Where an answer of the usual length would be computed now. Throws `model-unknown`, and as `start` does where no ring can be
   * made.
   */
  async plan(name: string | undefined, asked: PlanAsked = {}): Promise<PlannedModel> {
    return untilAnyAborted([this.#stop.signal, asked.signal], (signal) => this.#plan(name, asked, signal));
  }

  async #plan(name: string | undefined, asked: PlanAsked, signal: AbortSignal): Promise<PlannedModel> {
    const { mayFetch = false, placement } = asked;
    const entry = await this.#resolve(name, signal, mayFetch);
    const chosen = choosePlacement(placement, this.#options.placement, entry);
    const plan = await explained(this.#parts.planner, chosen).plan({
      model: entry,
      placement: chosen.placement,
      promptTokens: PLANNED_PROMPT_TOKENS,
      isRetry: false,
      isTrial: true,
      mayFetch,
      signal,
    });
    return { model: entry.id, plan };
  }

  /**
   * The text and token ids that a conversation becomes, within the same bounds as a question. Throws `model-unknown`,
   * `prompt-too-long`, `overloaded`, and the signal's reason.
   */
  async encode(
    model: string | undefined,
    messages: readonly ChatMessage[],
    until?: AbortSignal,
  ): Promise<EncodedChat> {
    return untilAnyAborted([this.#stop.signal, until], async (signal) =>
      this.#encode(await this.#resolve(model, signal), messages, signal),
    );
  }

  async #encode(
    model: ModelEntry,
    asked: readonly ChatMessage[] | string,
    signal: AbortSignal,
  ): Promise<EncodedChat> {
    const context = contextOf(model, this.#options.contextTokensMax) ?? LIMITS.promptTokensMax;
    if (typeof asked !== 'string') assertFew(asked, model, context);
    const tokenizer = await this.#parts.engine.tokenizer(model.id, signal);
    const prompt =
      typeof asked === 'string'
        ? asked
        : await tokenizer.applyChatTemplate(this.#withSystemPrompt(asked), signal);
    assertFits(prompt);
    const tokens = await tokenizer.encode(prompt, signal, Math.min(context, LIMITS.promptTokensMax));
    assertSendable(tokens);
    if (tokens.length === 0 && typeof asked !== 'string') {
      throw new ExoError(
        'tokenizer-invalid',
        `the chat template of ${printable(model.id, 100)} makes an empty prompt of these messages`,
      );
    }
    return { prompt, tokens };
  }

  #admit(requestId: string): void {
    if (this.#running.has(requestId)) {
      throw ringError('protocol-violation', `request id ${requestId} is in use; every request needs its own`);
    }
    if (this.#running.size >= LIMITS.generationsMax) {
      throw ringError('overloaded', `${this.#running.size} answers are being given already; try again later`);
    }
    this.#running.set(requestId, undefined);
  }

  async #run(requestId: string, request: GenerationRequest, signal: AbortSignal): Promise<Generation> {
    const { engine, clock } = this.#parts;
    const { responseTimeoutMs: timeoutMs } = this.#options;
    const model = await this.#resolve(request.model, signal);
    const chosen = choosePlacement(request.placement, this.#options.placement, model);
    const asked = 'prompt' in request ? request.prompt : request.messages;
    const { prompt, tokens } = await this.#encode(model, asked, signal);
    const tokenizer = await engine.tokenizer(model.id, signal);
    const maxTokens = answerTokensMax(
      { promptTokens: tokens.length, maxTokens: request.maxTokens },
      model,
      this.#options.contextTokensMax,
    );
    assertLive(signal);

    const generation = new RunningGeneration(
      {
        requestId,
        model: model.id,
        promptTokens: tokens.length,
        maxTokens,
        timeoutMs,
      },
      { tokenizer, clock },
      () => {
        request.signal?.removeEventListener('abort', onAbort);
        this.#running.delete(requestId);
        attempts.end();
      },
    );
    const onAbort = () => generation.cancel();
    const attempts = new GenerationAttempts(
      {
        requestId,
        model,
        prompt,
        tokens,
        sampling: request,
        placement: chosen.placement,
        maxTokens: request.maxTokens,
        lengthMax: maxTokens === undefined ? undefined : tokens.length + maxTokens - 1,
        client: generation,
        onPlan: (plan) => {
          generation.plan = plan;
        },
      },
      { timeoutMs, recovery: this.#options.recovery ?? true },
      { ...this.#parts, planner: explained(this.#parts.planner, chosen) },
    );
    request.signal?.addEventListener('abort', onAbort, { once: true });
    this.#running.set(requestId, generation);
    await attempts.begin();
    if (generation.error !== undefined) throw generation.error;
    return generation;
  }

  async #resolve(name: string | undefined, signal: AbortSignal, mayFetch = true): Promise<ModelEntry> {
    const { engine, clock } = this.#parts;
    const { models } = engine;
    const { defaultModel, responseTimeoutMs } = this.#options;
    const id = meantModel(name, models, defaultModel);
    // A client that is about to hear of a timeout hears how far the files are.
    const patienceMs = responseTimeoutMs - Math.min(LIMITS.modelLearnMarginMs, responseTimeoutMs / 10);
    try {
      await learnWithin(models, clock, { id, mayFetch, patienceMs }, signal);
    } catch (error) {
      assertLive(signal);
      throw error;
    }
    return resolveModel(name, models, defaultModel);
  }

  #withSystemPrompt(messages: readonly ChatMessage[]): readonly ChatMessage[] {
    const { systemPrompt } = this.#options;
    if (systemPrompt === undefined || messages.some((message) => message.role === 'system')) return messages;
    return [{ role: 'system', content: systemPrompt }, ...messages];
  }
}

function assertFits(prompt: string): void {
  const bytes = Buffer.byteLength(prompt);
  if (bytes <= LIMITS.promptBytesMax) return;
  throw new ExoError(
    'prompt-too-long',
    `the prompt has ${bytes} bytes; at most ${LIMITS.promptBytesMax} can be sent`,
  );
}

function assertSendable(tokens: readonly number[]): void {
  if (tokens.length <= LIMITS.promptTokensMax) return;
  throw new ExoError(
    'prompt-too-long',
    `the prompt has ${tokens.length} tokens; at most ${LIMITS.promptTokensMax} can be sent`,
  );
}

function assertLive(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new ExoError('request-cancelled', 'the request was cancelled', { cause: signal.reason });
}
