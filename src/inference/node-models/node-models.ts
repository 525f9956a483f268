/**
 * The models of this node by the names that requests use: those on its disk, the demo model that comes with the program, and those
 * that were asked for and can be fetched. A look at the folders is taken at the start and when somebody asks for a model that is
 * not known. What is fetched is fetched for this node's own clients and for trusted nodes: they name a model first
 * (`learn` with `mayFetch`). The ggml engine asks it for names and folders.
 */
import { access } from 'node:fs/promises';
import path from 'node:path';
import {
  type DownloadProgress,
  type LayerRange,
  type ModelFetches,
  type ModelReference,
  resolveReference,
  type StoredModel,
} from '../../models/index.js';
import type { Shard } from '../../protocol/index.js';
import { BoundedMap, ExoError, LIMITS, printable, toExoError } from '../../shared/index.js';
import { DEMO_MODEL, type EngineModels, type ModelEntry, unknownModel } from '../engine-models.js';
import type { ModelFiles } from '../engines/index.js';
import { DiskIndex, type DiskIndexComponents } from './disk-index.js';
import { fetchingWords } from './fetching-words.js';
import { configFault, type FoundModel, folderModel, layersOf, nameOf } from './found-model.js';
import { SmallFiles } from './small-files.js';
import { SpareFiles } from './spare-files.js';

/** What is looked at. */
export interface NodeModelsComponents extends DiskIndexComponents {
  /** Absent: nothing is ever fetched. */
  readonly fetches?: Pick<ModelFetches, 'fetch'>;
  /** `--spare`: files of a neighbour's layers are fetched ahead. @default false */
  readonly spare?: boolean;
}

/** Names and folders of models on disk. */
export class NodeModels implements EngineModels, ModelFiles {
  readonly #parts: NodeModelsComponents;
  readonly #disk: DiskIndex;
  readonly #small: SmallFiles | undefined;
  readonly #spare: SpareFiles | undefined;
  /** Names of models of which files may be fetched. */
  readonly #released = new BoundedMap<string, true>(LIMITS.modelNamesKept);
  /** How far downloads are, also those that have failed. */
  readonly #fetching = new BoundedMap<string, DownloadProgress>(LIMITS.modelNamesKept);
  /** When a known model was last asked for. */
  readonly #usedMs = new BoundedMap<string, number>(LIMITS.modelNamesKept);

  constructor(components: NodeModelsComponents) {
    this.#parts = components;
    this.#disk = new DiskIndex(components);
    const { fetches, spare } = components;
    if (fetches !== undefined) this.#small = new SmallFiles({ ...components, fetches });
    if (spare === true && fetches !== undefined) this.#spare = new SpareFiles({ ...components, fetches });
  }

  /** Begins the first look, and waits for it as long as a start may take. Never rejects. */
  start(): Promise<void> {
    return this.#disk.start();
  }

  /** Looks and spare downloads end. Idempotent. */
  stop(): void {
    this.#disk.stop();
    this.#spare?.stop();
  }

  get defaultId(): string {
    const own = this.#disk
      .all()
      .find(({ id, ready, unusable }) => ready && unusable === undefined && id !== DEMO_MODEL);
    return own?.id ?? DEMO_MODEL;
  }

  list(): readonly ModelEntry[] {
    return this.#disk.all().map(({ directory: _, repository: __, isBegun: ___, ...model }) => model);
  }

  find(id: string): ModelEntry {
    return this.#get(id);
  }

  async learn(id: string, signal: AbortSignal, mayFetch = false): Promise<void> {
    signal.throwIfAborted();
    const name = nameOf(id);
    if (mayFetch) this.#released.set(name, true);
    const isHere = this.#disk.has(name) && !(await this.#isGone(name, true));
    if (!isHere) await this.#disk.seek(name, signal);
    const known = this.#disk.get(name);
    if (!mayFetch) return;
    if (known === undefined) await this.#meet(id, signal);
    else if (known.isBegun !== undefined && known.repository !== undefined) {
      await this.#small?.complete(known.repository, known, signal);
    }
  }

  /** Looks at the disk; several who ask at once share a look. Never rejects. */
  refresh(): Promise<void> {
    return this.#disk.refresh();
  }

  /** Files of a model came or went. Never rejects. */
  filesCame(repository: string): Promise<void> {
    return this.#disk.filesCame(repository);
  }

  /** A report of a download of this node. */
  onProgress(progress: DownloadProgress): void {
    const name = nameOf(progress.repository);
    if (progress.status === 'in_progress') this.#fetching.set(name, progress);
    else this.#fetching.delete(name);
  }

  fetching(id: string): string | undefined {
    const progress = this.#fetching.get(nameOf(id));
    return progress === undefined ? undefined : fetchingWords(progress);
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
    const layers = layersOf(shard, known.layers);
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
    const known = this.#disk.get(nameOf(shard.modelId));
    const layers = known === undefined ? undefined : layersOf(shard, known.layers);
    if (known?.repository === undefined || layers === undefined || !this.#released.has(known.id)) return;
    this.#spare?.want(known.repository, layers);
  }

  /** What a name means, for who fetches or removes it. Throws `model-unknown` or `model-unsupported`. */
  repositoryOf(id: string): { readonly id: string; readonly repository: string } {
    const known = this.#disk.get(nameOf(id));
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
    const known = this.#disk.get(name);
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
    await this.#disk.gone(name);
    return !this.#disk.has(name);
  }

  #get(id: string): FoundModel {
    const known = this.#disk.get(nameOf(id));
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
      await this.#meetRepository(reference.repository, signal);
      return;
    }
    this.#disk.addFolder(await folderModel(id, reference.directory, signal));
  }

  async #meetRepository(repository: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#small?.fetch(repository, signal);
    } catch (error) {
      if (toExoError(error).code !== 'model-absent') throw error;
      // Of what is here and cannot be used the reason says more.
      const stored = await this.#parts.store.find(repository, signal);
      throw stored.map(({ survey }) => configFault(survey)).find((fault) => fault !== undefined) ?? error;
    }
  }
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
