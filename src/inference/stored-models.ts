/**
 * The models of this node by the names that requests use: those on its disk, the demo model that comes with the program, and those
 * that were asked for and can be fetched. A look at the folders is taken at the start and when somebody asks for a model that is
 * not known. What is fetched is fetched for this node's own clients and for trusted nodes: they name a model first
 * (`learn` with `mayFetch`). The ggml engine asks it for names and folders.
 */
import { access } from 'node:fs/promises';
import path from 'node:path';
import {
  Checkpoint,
  type LayerRange,
  type ModelFetches,
  type ModelReference,
  type ModelStore,
  resolveReference,
  type StoredModel,
  shortNameOf,
  surveyModel,
} from '../models/index.js';
import type { Shard } from '../protocol/index.js';
import { type Clock, ExoError, LIMITS, type Logger, printable, toExoError } from '../shared/index.js';
import type { ModelFiles } from './engines/ggml/index.js';
import { DEMO_MODEL, type EngineModels, type ModelEntry, unknownModel } from './models.js';

/** What is looked at. */
export interface StoredModelsComponents {
  readonly store: Pick<ModelStore, 'list' | 'find'>;
  /** Absent: nothing is ever fetched. */
  readonly fetches?: Pick<ModelFetches, 'fetch'>;
  /** `--spare`: files of a neighbour's layers are fetched ahead. @default false */
  readonly spare?: boolean;
  /** Folder of the demo model; absent: there is none. */
  readonly demoDirectory?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Known extends ModelEntry {
  readonly directory: string;
  /** Absent: it is where it is, and nothing of it is fetched. */
  readonly repository?: string;
}

/** Models that may be fetched, and folders that somebody named: a client may name many. */
const NAMED_MAX = 256;

/** Names and folders of models on disk. */
export class StoredModels implements EngineModels, ModelFiles {
  readonly #parts: StoredModelsComponents;
  #known: ReadonlyMap<string, Known> = new Map();
  #look: Promise<void> | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Names of models of which files may be fetched. */
  readonly #released = new Set<string>();
  /** When a known model was last asked for. */
  readonly #usedMs = new Map<string, number>();
  /** Folders that were named by their paths. */
  readonly #folders = new Map<string, Known>();

  constructor(components: StoredModelsComponents) {
    this.#parts = components;
  }

  get defaultId(): string {
    const own = [...this.#known.values()].find(({ id, ready }) => ready && id !== DEMO_MODEL);
    return own?.id ?? DEMO_MODEL;
  }

  list(): readonly ModelEntry[] {
    return [...this.#known.values()].map(({ directory: _, repository: __, ...model }) => model);
  }

  find(id: string): ModelEntry {
    return this.#get(id);
  }

  async learn(id: string, signal: AbortSignal, mayFetch = false): Promise<void> {
    signal.throwIfAborted();
    const name = nameOf(id);
    if (mayFetch) remember(this.#released, name);
    if (this.#known.has(name) && !(await this.#isGone(name, true))) return;
    // A stranger may ask for one made-up name after the other.
    const isFresh = this.#parts.clock.now() - this.#lookedAtMs < LIMITS.modelsLookEveryMs;
    if (this.#look !== undefined || !isFresh) await this.refresh();
    if (mayFetch && !this.#known.has(name)) await this.#meet(id, signal);
  }

  /** Looks at the disk; several who ask at once share a look. What cannot be read is logged and left out. */
  refresh(): Promise<void> {
    this.#look ??= this.#read().finally(() => {
      this.#look = undefined;
      this.#lookedAtMs = this.#parts.clock.now();
    });
    return this.#look;
  }

  /** Looks again, also where a look is under way: what came since it began is seen. */
  async filesCame(): Promise<void> {
    await this.#look;
    await this.refresh();
  }

  async directoryOf(modelId: string, signal: AbortSignal): Promise<string> {
    await this.learn(modelId, signal);
    await this.#isGone(nameOf(modelId), false);
    return this.#get(modelId).directory;
  }

  async shardDirectory(shard: Shard, signal: AbortSignal): Promise<string> {
    await this.learn(shard.modelId, signal);
    const known = this.#get(shard.modelId);
    const { repository, directory } = known;
    const layers = layersOf(shard, known);
    // Of a shard that is none whoever opens the model says so.
    if (repository === undefined || layers === undefined) return directory;
    const stored = await this.#parts.store.find(repository, signal);
    const found = stored.find(({ survey }) => survey.has(layers));
    if (found !== undefined) return found.directory;
    const { fetches } = this.#parts;
    if (fetches === undefined || !this.#released.has(known.id)) {
      throw damaged(stored) ?? absent(known.id, layers);
    }
    return fetches.fetch(repository, layers, signal);
  }

  neighbour(shard: Shard): void {
    const { fetches, spare, log } = this.#parts;
    const known = this.#known.get(nameOf(shard.modelId));
    const layers = known === undefined ? undefined : layersOf(shard, known);
    if (spare !== true || known?.repository === undefined || layers === undefined) return;
    if (fetches === undefined || !this.#released.has(known.id)) return;
    const { repository, id } = known;
    const { signal } = new AbortController();
    this.#parts.store
      .find(repository, signal)
      .then(async (stored) => {
        if (stored.some(({ survey }) => survey.has(layers))) return;
        await fetches.fetch(repository, layers, signal, { isAhead: true });
      })
      .catch((error: unknown) => log.debug('spare-not-fetched', { model: id, error: toExoError(error) }));
  }

  /** What a name means, for who fetches or removes it. Throws `model-unknown` or `model-unsupported`. */
  repositoryOf(id: string): { readonly id: string; readonly repository: string } {
    const known = this.#known.get(nameOf(id));
    const reference = known === undefined ? resolveReference(id) : undefined;
    const repository = reference?.kind === 'repository' ? reference.repository : known?.repository;
    if (repository !== undefined) return { id: nameOf(repository), repository };
    throw new ExoError(
      'option-invalid',
      `${printable(id, 100)} is a folder, which is neither fetched nor removed`,
    );
  }

  /**
   * Whether the folder of a model was removed by another process. `isUsed`: not while one token after the other comes, so that it costs
   * them nothing, and an answer of which the files were removed ends without fetching them again.
   */
  async #isGone(name: string, isUsed: boolean): Promise<boolean> {
    const known = this.#known.get(name);
    if (known === undefined) return true;
    const nowMs = this.#parts.clock.now();
    const lastMs = this.#usedMs.get(name) ?? Number.NEGATIVE_INFINITY;
    this.#usedMs.set(name, nowMs);
    if (isUsed && nowMs - lastMs < LIMITS.modelsLookEveryMs) return false;
    const isThere = await access(path.join(known.directory, 'config.json')).then(
      () => true,
      () => false,
    );
    if (isThere) return false;
    this.#usedMs.delete(name);
    this.#folders.delete(name);
    // Another place may have it still.
    await this.filesCame();
    return !this.#known.has(name);
  }

  #get(id: string): Known {
    const known = this.#known.get(nameOf(id));
    if (known !== undefined) return known;
    throw unknownModel(id, 'ggml', this.list(), '; fetch another with: exo model pull');
  }

  /** A model that nobody has asked for here: its folder, or its small files from where they are. */
  async #meet(id: string, signal: AbortSignal): Promise<void> {
    let reference: ModelReference;
    try {
      reference = resolveReference(id);
    } catch (error) {
      // Who asks next says which there are.
      if (error instanceof ExoError && error.code === 'model-unknown') return;
      throw error;
    }
    if (reference.kind === 'repository') {
      await this.#parts.fetches?.fetch(reference.repository, 'small', signal);
      return;
    }
    const { directory } = reference;
    const survey = await surveyModel(directory, signal);
    if (survey?.layers === undefined) {
      const why =
        survey === undefined ? 'holds no config.json and no weights' : 'has no config.json that can be read';
      throw new ExoError(
        'model-unknown',
        `the folder ${printable(directory, 300)} ${why} (seen from this node)`,
      );
    }
    const { layers, contextTokens } = survey;
    remember(this.#folders, id, {
      ...{ id, name: directory, layers, ready: survey.has(), directory },
      ...(contextTokens === undefined ? {} : { contextTokens }),
    });
    this.#known = new Map([...this.#known, ...this.#folders]);
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
          ...{ id, name: repository, layers, ready: isComplete, directory, repository },
          storedLayers: survey.presentLayers,
          ...(contextTokens === undefined ? {} : { contextTokens }),
        });
      }
    } catch (error) {
      log.warn('models-unreadable', { error: toExoError(error) });
    }
    this.#known = new Map([...known, ...this.#folders]);
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

/** Layers of a shard, where it is one of the model. */
function layersOf({ startLayer, endLayer, nLayers }: Shard, { layers }: Known): LayerRange | undefined {
  const isShard = nLayers === layers && startLayer >= 0 && startLayer <= endLayer && endLayer < layers;
  return isShard ? { startLayer, endLayer, layers } : undefined;
}

/** What is here and cannot be used says more than that something is missing. */
function damaged(stored: readonly StoredModel[]): ExoError | undefined {
  const [first] = stored.flatMap(({ survey }) => survey.damaged);
  return first === undefined ? undefined : new ExoError('checkpoint-invalid', first.reason);
}

function absent(id: string, { startLayer, endLayer }: LayerRange): ExoError {
  const name = printable(id, 200);
  return new ExoError(
    'model-absent',
    `layers ${startLayer}-${endLayer} of ${name} are not on this node, which fetches them for its own clients and for nodes that it trusts; fetch them there with: exo model pull ${name}`,
  );
}

/** Adds to a set or a map; the oldest makes room. */
function remember<V>(kept: Set<string> | Map<string, V>, name: string, value?: V): void {
  if (kept.size >= NAMED_MAX && !kept.has(name)) {
    const [oldest] = kept.keys();
    kept.delete(oldest!);
  }
  if (kept instanceof Map) kept.set(name, value!);
  else kept.add(name);
}
