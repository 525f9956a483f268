/**
 * `--inference-engine ggml`: real checkpoints, computed by the ggml libraries in a process of its own. This is the node's
 * side: which shards are loaded, what a step may be, and the answers as tensors. It computes nothing and loads no native code.
 */
import { existsSync } from 'node:fs';
import type { Shard, Tensor } from '../../../protocol/index.js';
import {
  BoundedMap,
  type Clock,
  ExoError,
  LIMITS,
  type Logger,
  onceAborted,
  printable,
  toExoError,
  unlessAborted,
} from '../../../shared/index.js';
import type {
  EngineProfile,
  ForwardRequest,
  ForwardResult,
  InferenceEngine,
  SampledToken,
  SamplingOptions,
  SamplingPlace,
  Tokenizer,
} from '../../engine.js';
import type { EngineModels } from '../../engine-models.js';
import { sampleLogits } from '../../sampling/index.js';
import { type LoadedModel, ModelReader, type ModelReaderComponents } from './model-reader.js';
import { type GgmlOptions, processOptions } from './options.js';
import type { EngineProcess } from './process/engine-process.js';
import { EngineSupervisor } from './process/engine-supervisor.js';
import { FatalLoads } from './process/fatal-loads.js';
import type { ProcessProfile } from './process/messages.js';
import { shardKeyOf } from './process/messages.js';
import { checkWidth, encodeInput } from './step-input.js';
import { layerCosts, mainType } from './weights/layer-cost.js';
import type { UnkeptWeights } from './weights/made-files.js';
import type { Quantisation } from './weights/quantisation.js';

/** What the engine asks. */
export interface GgmlComponents extends ModelReaderComponents {
  /** Names and layers of what there is. */
  readonly models: EngineModels;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A shard in one life of the process. */
interface Loaded {
  readonly loading: Promise<LoadedModel>;
  /** When that has resolved. */
  model: LoadedModel | undefined;
}

/** One that is ready for steps. */
interface LoadedShard {
  readonly process: EngineProcess;
  readonly model: LoadedModel;
}

/** Those that it has loaded, or is loading, by their keys. */
type Loads = Map<string, Loaded>;

/** A profile, and the life of the process that was measured. */
interface KnownProfile {
  readonly profile: ProcessProfile;
  readonly process: EngineProcess;
  readonly atMs: number;
}

/**
 * A process that was started anew is not measured before it has computed again: the test takes a second, and an answer that is to
 * go on would wait for it. By then its own steps say how fast it is.
 */
const PROFILE_OUTLIVES_MS = 60_000;
/** A file moves once; the index of a model names several. */
const LOAD_TRIES = 4;

/** The engine of real models. */
export class GgmlEngine implements InferenceEngine {
  readonly name = 'ggml';
  readonly models: EngineModels;
  readonly #supervisor: EngineSupervisor;
  readonly #models: ModelReader;
  readonly #quantisation: Quantisation;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #fatalLoads: FatalLoads;
  /** What kept the process from starting; undefined once one runs. */
  #startError: string | undefined;
  #loads = new WeakMap<EngineProcess, Loads>();
  readonly #profiles = new BoundedMap<string, KnownProfile>(LIMITS.engineModelsKept);
  #stopped = new AbortController();
  #hasWarnedOfUnkept = false;

  constructor(options: GgmlOptions, components: GgmlComponents) {
    this.models = components.models;
    this.#logger = components.logger;
    this.#clock = components.clock;
    this.#fatalLoads = new FatalLoads(components.clock);
    const ofProcess = processOptions(options);
    this.#quantisation = ofProcess.quantisation;
    this.#supervisor = new EngineSupervisor(ofProcess, components);
    this.#models = new ModelReader(contextOf(options), components);
  }

  get state(): string {
    if (this.pid !== undefined) return `computes in process ${this.pid}`;
    return this.#startError ?? 'is not started yet';
  }

  /** Of the process that computes, while one runs. */
  get pid(): number | undefined {
    return this.#supervisor.running?.pid;
  }

  /**
   * Does not wait for the process: a node listens while the libraries load, and one without them passes questions on to others.
   * What is wrong with it is logged here, and told to whoever needs it.
   */
  async start(): Promise<void> {
    if (this.#stopped.signal.aborted) this.#stopped = new AbortController();
    this.#supervisor.begin();
    this.#supervisor.process().catch((error: unknown) => {
      if (this.#stopped.signal.aborted) return;
      const { code, message } = toExoError(error, 'engine-failed');
      this.#startError = message;
      this.#logger.warn(code, { message });
    });
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new ExoError('engine-failed', 'the ggml engine is stopped'));
    await Promise.all([this.#models.clear(), this.#supervisor.stop()]);
  }

  async load(shard: Shard, signal: AbortSignal): Promise<void> {
    await this.#load(shard, signal);
  }

  async profile(modelId: string, signal: AbortSignal): Promise<EngineProfile> {
    this.#assertRunning(signal);
    const stored = await this.#models.describe(modelId, signal);
    const layers = layerCosts(stored.architecture, this.#quantisation, stored);
    const type = mainType(stored.architecture, this.#quantisation, stored);
    const process = await this.#unlessAborted(this.#supervisor.process(), signal);
    const known = this.#profiles.get(modelId);
    const nowMs = this.#clock.now();
    const isFresh = known !== undefined && nowMs - known.atMs < PROFILE_OUTLIVES_MS;
    if (isFresh && known.process !== process) return { ...known.profile, layers };
    const asked = process.ask({ op: 'profile', modelId, type });
    const { profile } = await this.#unlessAborted(asked, signal);
    if (profile === undefined) throw new ExoError('engine-failed', 'the engine gave no profile');
    this.#profiles.set(modelId, { profile, process, atMs: nowMs });
    return { ...profile, layers };
  }

  async tokenizer(modelId: string, signal: AbortSignal): Promise<Tokenizer> {
    return this.#unlessAborted(this.#models.tokenizer(modelId, this.#stopped.signal), signal);
  }

  async forward(request: ForwardRequest): Promise<ForwardResult> {
    const { shard, input, requestId, position, signal, isGreedy = false } = request;
    this.#assertRunning(signal);
    const encoded = encodeInput(input, shard.startLayer === 0);
    for (let tries = 1; tries <= LOAD_TRIES; tries += 1) {
      // Each step of an answer comes here: what is loaded is not waited for.
      const { process, model } = this.#loaded(shard) ?? (await this.#load(shard, signal));
      checkWidth(input, model.architecture.hidden);
      const key = keyOf(shard);
      // The load may have ended as the request did.
      this.#assertRunning(signal);
      const step = { requestId, position, input: encoded.input, isGreedy };
      const asked = process.ask({ op: 'forward', shardKey: key, ...step }, encoded.payload);
      const { payload, token, isUnloaded } = await unlessGivenUp(asked, signal, () =>
        process.tell({ op: 'cancel', requestId }),
      );
      if (token !== undefined) return { kind: 'token', token };
      if (!isUnloaded) return resultOf(shard, model, encoded.sequence, payload);
      this.#loads.get(process)?.delete(key);
    }
    throw new ExoError(
      'overloaded',
      `other shards took the place of ${keyOf(shard)} ${LOAD_TRIES} times before it was used; ask again later`,
      { retryable: true },
    );
  }

  sample(logits: Tensor, options: SamplingOptions, place: SamplingPlace): SampledToken {
    const sampled = sampleLogits(logits, options, place);
    this.#supervisor.running?.giveBack(logits.data);
    return sampled;
  }

  release(requestId: string): void {
    // At once, so that a step that is sent after it begins anew.
    this.#supervisor.running?.tell({ op: 'release', requestId });
  }

  /** A shard that the process has; undefined while it is being loaded, or none runs. */
  #loaded(shard: Shard): LoadedShard | undefined {
    const { running: process } = this.#supervisor;
    const model = process && this.#loads.get(process)?.get(keyOf(shard))?.model;
    return model && { process: process!, model };
  }

  async #load(shard: Shard, signal: AbortSignal): Promise<LoadedShard> {
    this.#assertRunning(signal);
    const loadedAlready = this.#loaded(shard);
    if (loadedAlready !== undefined) return loadedAlready;
    const key = keyOf(shard);
    const process = await this.#unlessAborted(this.#supervisor.process(), signal);
    let loads = this.#loads.get(process);
    if (loads === undefined) {
      loads = new Map();
      this.#loads.set(process, loads);
    }
    const loaded = loads.get(key) ?? this.#begin(process, loads, key, shard);
    return { process, model: await this.#unlessAborted(loaded.loading, signal) };
  }

  #begin(process: EngineProcess, loads: Loads, key: string, shard: Shard): Loaded {
    const loading = this.#loadInto(process, shard);
    const loaded: Loaded = { loading, model: undefined };
    loads.set(key, loaded);
    loading.then(
      (model) => {
        loaded.model = model;
      },
      () => loads.delete(key),
    );
    return loaded;
  }

  /** A file gets its final name when the last of it has come, perhaps between its description and its use. */
  async #loadInto(process: EngineProcess, shard: Shard): Promise<LoadedModel> {
    for (let tries = 1; ; tries += 1) {
      const model = await this.#models.shard(shard, this.#stopped.signal);
      try {
        await this.#loadModel(process, shard, model);
        return model;
      } catch (error) {
        if (tries === LOAD_TRIES || !hasMoved(model)) throw error;
      }
    }
  }

  async #loadModel(process: EngineProcess, shard: Shard, model: LoadedModel): Promise<void> {
    const { signal } = this.#stopped;
    const { architecture, tensors, mlx } = model;
    const { startLayer, endLayer } = shard;
    const source = { architecture, tensors, startLayer, endLayer, ...(mlx === undefined ? {} : { mlx }) };
    const shardKey = keyOf(shard);
    this.#fatalLoads.check(shardKey);
    try {
      const { unkept } = await process.ask({ op: 'load', shardKey, source });
      if (unkept !== undefined) this.#warnOfUnkept(shard.modelId, unkept);
    } catch (error) {
      if (process.hasEnded && !signal.aborted) this.#fatalLoads.note(shardKey, toExoError(error));
      throw error;
    }
    this.#fatalLoads.forget(shardKey);
  }

  /** Once: it is the same disk for all models. */
  #warnOfUnkept(model: string, { directory, bytes, why }: UnkeptWeights): void {
    if (this.#hasWarnedOfUnkept) return;
    this.#hasWarnedOfUnkept = true;
    this.#logger.warn('weights-not-kept', {
      model,
      message: `${(bytes / 1e9).toFixed(2)} GB of quantised weights of ${printable(model, 100)} are not kept in ${directory}: ${why}. They are made anew at each start, which takes longer; make room there, or set EXO_HOME to a folder on another disk`,
    });
  }

  #assertRunning(signal: AbortSignal): void {
    if (this.#stopped.signal.aborted) throw this.#stopped.signal.reason;
    if (signal.aborted) throw cancelled(signal);
  }

  /** What is under way goes on for others; the caller has given up, or the engine has stopped. */
  async #unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    this.#assertRunning(signal);
    try {
      return await unlessAborted(work, signal);
    } catch (error) {
      throw signal.aborted ? cancelled(signal) : error;
    }
  }
}

/** Whether a file of the model is not where it was when it was described. */
function hasMoved({ tensors }: LoadedModel): boolean {
  return [...new Set(Object.values(tensors).map(({ file }) => file))].some((file) => !existsSync(file));
}

function resultOf(shard: Shard, model: LoadedModel, sequence: number, data: Buffer): ForwardResult {
  const { hidden, vocab, layers } = model.architecture;
  return shard.endLayer === layers.length - 1
    ? { kind: 'logits', logits: { shape: [vocab], dtype: 'float32', data } }
    : { kind: 'hidden', hidden: { shape: [1, sequence, hidden], dtype: 'float32', data } };
}

function contextOf({ contextLength }: GgmlOptions): { readonly contextLength?: number } {
  return contextLength === undefined ? {} : { contextLength };
}

function keyOf({ modelId, startLayer, endLayer }: Shard): string {
  return shardKeyOf(modelId, startLayer, endLayer);
}

/** A step's answer, unless the signal is aborted before: then `giveUp` is called, and the step goes on for nobody. */
function unlessGivenUp<T>(step: Promise<T>, signal: AbortSignal, giveUp: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = onceAborted(signal, () => {
      giveUp();
      reject(cancelled(signal));
    });
    step.then(
      (answer) => {
        leave();
        resolve(answer);
      },
      (error) => {
        leave();
        reject(error);
      },
    );
  });
}

/** A deadline of whoever asked is told as such; all else is somebody who left. */
function cancelled({ reason }: AbortSignal): ExoError {
  if (reason instanceof ExoError && reason.code === 'request-timeout') return reason;
  return new ExoError('request-cancelled', 'the request was cancelled', { cause: reason });
}
