/**
 * The models that an engine computes, and which of them a request means. The ring asks for the number of layers, the API for the
 * names. Which there are is the engine's matter: fixed ones (`FixedModels`), or those of a node that has them on its disk
 * (`node-models`).
 */
import type { Shard } from '../protocol/index.js';
import { type Clock, ExoError, printable, withDeadline } from '../shared/index.js';

/** Name of the model that comes with the program. */
export const DEMO_MODEL = 'demo';

/** One model. */
export interface ModelEntry {
  /** The name that requests use, and the `model_id` of shards. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly layers: number;
  /** Everything of it is on this machine. */
  readonly ready: boolean;
  /** Layers of which the files are on this machine, both ends included. Absent: all where it is `ready`, else none. */
  readonly storedLayers?: ReadonlyArray<readonly [from: number, to: number]>;
  /** Of prompt and answer together: what the model was made for. Absent: not known here. */
  readonly contextTokens?: number;
  /** Why it cannot be computed: who asks for it is told, and it is offered to nobody. */
  readonly unusable?: string;
}

/** The models of one engine, as of the last look. */
export interface EngineModels {
  /** What `gpt-*` and a request without a model mean where the operator says nothing. */
  readonly defaultId: string;
  list(): readonly ModelEntry[];
  /** Also under its other names. Throws `model-unknown`, naming the known ones. */
  find(id: string): ModelEntry;
  /**
   * Looks again when a model is not known, because its files may have come since. Who waits for one id is served in the order
   * of asking. With `mayFetch` its small files are fetched where it is not here, and from then on the layers that are loaded.
   * Rejects with the signal's reason, and with `mayFetch` with `model-unsupported`, `model-absent` or what a hub says.
   */
  learn(id: string, signal: AbortSignal, mayFetch?: boolean): Promise<void>;
  /** How far the files of a model are that are being fetched, in words; undefined where none are. */
  fetching?(id: string): string | undefined;
  /** These layers are a neighbour's in a ring: an engine with real models may fetch their files, to have them when it is lost. */
  neighbour?(shard: Shard): void;
}

/** Models that never change. */
export class FixedModels implements EngineModels {
  readonly defaultId: string;
  readonly #engine: string;
  readonly #models: readonly ModelEntry[];

  /** The first is the default. */
  constructor(engine: string, models: readonly [ModelEntry, ...ModelEntry[]]) {
    this.#engine = engine;
    this.#models = models;
    this.defaultId = models[0].id;
  }

  list(): readonly ModelEntry[] {
    return this.#models;
  }

  find(id: string): ModelEntry {
    const model = this.#models.find((entry) => entry.id === id);
    if (model === undefined) throw unknownModel(id, this.#engine, this.#models);
    return model;
  }

  async learn(): Promise<void> {}
}

/** The `model-unknown` of an engine, with the models that it has. */
export function unknownModel(id: string, engine: string, models: readonly ModelEntry[], hint = ''): ExoError {
  const usable = models.filter(({ unusable }) => unusable === undefined);
  const known = usable.map((entry) => entry.id).join(', ') || 'none';
  return new ExoError(
    'model-unknown',
    `Unsupported model: ${printable(id)}; the ${engine} engine has: ${known}${hint}`,
  );
}

/** What a request means: `gpt-*` and no name are the default model, as in the original. Not checked. */
export function meantModel(
  name: string | undefined,
  models: Pick<EngineModels, 'defaultId'>,
  defaultModel?: string,
): string {
  const isDefault = name === undefined || name === '' || name.startsWith('gpt-');
  return isDefault ? (defaultModel ?? models.defaultId) : name;
}

/** The model that a request means. Throws `model-unknown`. */
export function resolveModel(
  name: string | undefined,
  models: EngineModels,
  defaultModel?: string,
): ModelEntry {
  return models.find(meantModel(name, models, defaultModel));
}

/** What is learnt, and how long that may take. */
export interface LearnQuestion {
  readonly id: string;
  readonly mayFetch: boolean;
  readonly patienceMs: number;
}

/**
 * As `EngineModels.learn`, but a model is not waited for longer than somebody else waits for the answer: a tokenizer of 10 MB takes
 * 80 s over a slow link. The download goes on; who asks again finds it further on. Throws `model-fetching`, retryable, with how far
 * the files are, after the patience.
 */
export async function learnWithin(
  models: EngineModels,
  clock: Clock,
  { id, mayFetch, patienceMs }: LearnQuestion,
  signal: AbortSignal,
): Promise<void> {
  const tooLate = () => {
    const words = models.fetching?.(id) ?? 'its files are being looked for';
    return new ExoError(
      'model-fetching',
      `${printable(id, 200)} is not here yet: ${words}; that goes on, ask again later (exo status shows it)`,
      { retryable: true },
    );
  };
  const deadline = { clock, timeoutMs: patienceMs, owner: signal, tooLate };
  await withDeadline(deadline, () => models.learn(id, signal, mayFetch));
}
