/**
 * The models that are on this machine's disk, by the names that requests use, and the demo model that comes with the program.
 * A look at the folders is taken at the start and when somebody asks for a model that is not known. Fetches nothing.
 * The ggml engine asks it for names and folders.
 */
import { Checkpoint, type ModelStore, resolveReference, shortNameOf } from '../models/index.js';
import { type Clock, ExoError, LIMITS, type Logger, toExoError } from '../shared/index.js';
import type { ModelFiles } from './engines/ggml/index.js';
import { DEMO_MODEL, type EngineModels, type ModelEntry, unknownModel } from './models.js';

/** What is looked at. */
export interface StoredModelsComponents {
  readonly store: Pick<ModelStore, 'list'>;
  /** Folder of the demo model; absent: there is none. */
  readonly demoDirectory?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Known extends ModelEntry {
  readonly directory: string;
}

/** Names and folders of models on disk. */
export class StoredModels implements EngineModels, ModelFiles {
  readonly #parts: StoredModelsComponents;
  #known: ReadonlyMap<string, Known> = new Map();
  #look: Promise<void> | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(components: StoredModelsComponents) {
    this.#parts = components;
  }

  get defaultId(): string {
    return this.#known.values().next().value?.id ?? DEMO_MODEL;
  }

  list(): readonly ModelEntry[] {
    return [...this.#known.values()].map(({ directory: _, ...model }) => model);
  }

  find(id: string): ModelEntry {
    return this.#get(id);
  }

  async learn(id: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#known.has(nameOf(id))) return;
    // A stranger may ask for one made-up name after the other.
    const isFresh = this.#parts.clock.now() - this.#lookedAtMs < LIMITS.modelsLookEveryMs;
    if (this.#look === undefined && isFresh) return;
    await this.refresh();
  }

  /** Looks at the disk; several who ask at once share a look. What cannot be read is logged and left out. */
  refresh(): Promise<void> {
    this.#look ??= this.#read().finally(() => {
      this.#look = undefined;
      this.#lookedAtMs = this.#parts.clock.now();
    });
    return this.#look;
  }

  async directoryOf(modelId: string, signal: AbortSignal): Promise<string> {
    await this.learn(modelId, signal);
    return this.#get(modelId).directory;
  }

  #get(id: string): Known {
    const known = this.#known.get(nameOf(id));
    if (known !== undefined) return known;
    throw unknownModel(id, 'ggml', this.list(), '; fetch another with: exo model pull');
  }

  async #read(): Promise<void> {
    const { store, demoDirectory, log } = this.#parts;
    const { signal } = new AbortController();
    const known = new Map<string, Known>();
    try {
      if (demoDirectory !== undefined) {
        const { architecture } = await Checkpoint.open(demoDirectory, signal);
        known.set(DEMO_MODEL, {
          id: DEMO_MODEL,
          name: 'Demo (about exo-mesh)',
          layers: architecture.layers.length,
          ready: true,
          contextTokens: architecture.contextLength,
          directory: demoDirectory,
        });
      }
    } catch (error) {
      log.warn('demo-model-unreadable', { error: toExoError(error) });
    }
    try {
      for (const { repository, directory, survey } of await store.list(signal)) {
        const id = nameOf(repository);
        // The first place wins, unless a later one has more of it.
        const isComplete = survey.has();
        if (survey.layers === undefined || (known.has(id) && !(isComplete && !known.get(id)!.ready)))
          continue;
        const { layers, contextTokens } = survey;
        known.set(id, {
          ...{ id, name: repository, layers, ready: isComplete, directory },
          ...(contextTokens === undefined ? {} : { contextTokens }),
        });
      }
    } catch (error) {
      log.warn('models-unreadable', { error: toExoError(error) });
    }
    this.#known = known;
  }
}

/** A model's one name: the short one where it has one. */
function nameOf(text: string): string {
  if (text === DEMO_MODEL) return text;
  try {
    const reference = resolveReference(text);
    return reference.kind === 'repository'
      ? (shortNameOf(reference.repository) ?? reference.repository)
      : text;
  } catch (error) {
    if (error instanceof ExoError) return text;
    throw error;
  }
}
