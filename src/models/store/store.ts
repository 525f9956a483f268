/**
 * The models that are kept on this machine, in one folder or several, some only to be read. What is there is told by the files
 * themselves, each time anew. Fetches nothing (`download.ts` does); knows no node. Called by the node and by `exo model`.
 */
import { lstat, mkdir, readdir, readFile, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, ExoError, LIMITS, printable, type Random } from '../../shared/index.js';
import { folderName, type ModelReference, repositoryOf } from '../catalogue/catalogue.js';
import { isAnyLocked } from '../disk/lock.js';
import { writeFailure } from '../download/failure.js';
import { RANGES_SUFFIX } from '../download/partial.js';
import type { LayerRange } from '../download/plan.js';
import { type Flaws, flawsOf } from './flaws.js';
import type { ModelPlace } from './places.js';
import { ModelRecord, type RecordData, readRecord, STATE_FOLDER } from './record.js';
import { type ModelSurvey, surveyModel } from './survey.js';
import { Surveys } from './surveys.js';
import { type VerifiedFile, verifyFile, verifyPartial } from './verify.js';

/** A model in one of the places. */
export interface StoredModel {
  readonly repository: string;
  readonly directory: string;
  readonly place: ModelPlace;
  /** The folder is a link to one elsewhere: read, never written to. */
  readonly isLink: boolean;
  readonly survey: ModelSurvey;
  /** Where it came from, where this program fetched it. */
  readonly record: RecordData | undefined;
}

/** What a removal did. */
export interface Removed {
  /** Folders (or links to folders) that are gone. */
  readonly directories: readonly string[];
  readonly bytes: number;
  /** Folders with the model that this program does not write to. */
  readonly kept: readonly string[];
}

/** What the store works with. */
export interface StoreComponents {
  readonly clock: Clock;
  readonly random: Random;
}

/** Begins the name of what is being removed: never taken for a model. */
const REMOVED_PREFIX = '.removed-';
const TOKEN_BYTES = 8;

/** The models of this machine. */
export class ModelStore {
  readonly places: readonly ModelPlace[];
  readonly #components: StoreComponents;
  readonly #surveys = new Surveys();

  constructor(options: { readonly places: readonly ModelPlace[] }, components: StoreComponents) {
    this.places = options.places;
    this.#components = components;
  }

  /** All models, by place and name. Rejects with the signal's reason. */
  async list(signal: AbortSignal): Promise<StoredModel[]> {
    const models: StoredModel[] = [];
    for await (const model of this.each(signal)) models.push(model);
    return models;
  }

  /** The same, each as soon as it has been looked at; of a place at most `LIMITS.modelsPerPlaceMax`. */
  async *each(signal: AbortSignal): AsyncGenerator<StoredModel> {
    for (const place of this.places) {
      const names = (await namesIn(place.path)).sort();
      let left: number = LIMITS.modelsPerPlaceMax;
      for (const name of names) {
        signal.throwIfAborted();
        const repository = repositoryOf(place.isHubCache === true ? name.replace(/^models--/, '') : name);
        const model = repository === undefined ? undefined : await this.#look(place, repository, signal);
        if (model === undefined) continue;
        yield model;
        left -= 1;
        if (left === 0) break;
      }
    }
  }

  /** Everything that is there of one model, in the order of the places. */
  async find(repository: string, signal: AbortSignal): Promise<StoredModel[]> {
    const models: StoredModel[] = [];
    for (const place of this.places) {
      const model = await this.#look(place, repository, signal);
      if (model !== undefined) models.push(model);
    }
    return models;
  }

  /** A folder in which everything is that a shard needs; undefined where there is none. */
  async folderWith(
    reference: ModelReference,
    shard: LayerRange | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (reference.kind === 'directory') return reference.directory;
    const models = await this.find(reference.repository, signal);
    return models.find(({ survey }) => survey.has(shard))?.directory;
  }

  /** The same; throws `model-absent` where there is none. */
  async directoryOf(
    reference: ModelReference,
    shard: LayerRange | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const folder = await this.folderWith(reference, shard, signal);
    if (folder !== undefined) return folder;
    const layers = shard === undefined ? '' : `, layers ${shard.startLayer}-${shard.endLayer},`;
    throw new ExoError(
      'model-absent',
      `${printable(reference.id, 200)}${layers} is not here; fetch it with: exo model pull ${printable(reference.id, 200)}`,
    );
  }

  /** Where a model is fetched to: where something of it is already, else the first place. Throws `state-unwritable` for a link. */
  async targetOf(repository: string): Promise<string> {
    const writable = this.places.filter(({ isWritable }) => isWritable);
    const folders = writable.map((place) => path.join(place.path, folderName(repository)));
    for (const directory of folders) {
      const stats = await lstat(directory).catch(() => undefined);
      if (stats?.isSymbolicLink() === true) {
        throw new ExoError(
          'state-unwritable',
          `${directory} is a link to another folder, and exo writes into no folder that it was not told of; remove the link with exo model rm, or complete that folder yourself`,
        );
      }
      if (stats?.isDirectory() === true) return directory;
    }
    const first = folders[0];
    if (first === undefined) throw new Error('there is no place to fetch models to');
    return first;
  }

  /**
   * Removes a model from all places that may be written. A link to a folder is removed, what it leads to stays. Throws
   * `model-absent`, `model-in-use` or `state-unwritable`.
   */
  async remove(repository: string): Promise<Removed> {
    const directories: string[] = [];
    const kept: string[] = [];
    let bytes = 0;
    for (const place of this.places) {
      const directory = await folderIn(place, repository);
      const stats = await lstat(directory).catch(() => undefined);
      if (stats === undefined) continue;
      if (!place.isWritable) {
        kept.push(directory);
        continue;
      }
      if (stats.isSymbolicLink()) await this.#unlink(directory);
      else bytes += await this.#removeFolder(place.path, directory);
      directories.push(directory);
    }
    if (directories.length === 0) {
      throw new ExoError(
        'model-absent',
        kept.length === 0
          ? `nothing of ${printable(repository)} is kept here; exo model list shows what is`
          : `${printable(repository)} is only in folders that exo does not write to; remove it yourself: ${kept.join(', ')}`,
      );
    }
    return { directories, bytes, kept };
  }

  /** What is not in order in its folder, without reading a file. */
  flawsOf(model: StoredModel, shard?: LayerRange): Promise<Flaws> {
    return flawsOf(model, shard);
  }

  /** Reads all files of a model and compares them with the hashes of `files` (of its record, or as the hub lists them). */
  async verify(
    model: StoredModel,
    signal: AbortSignal,
    onBytes: (bytes: number) => void = () => undefined,
  ): Promise<VerifiedFile[]> {
    const known = model.record?.files;
    const isOurs = model.place.isWritable && !model.isLink;
    const record = isOurs ? await new ModelRecord(model.directory, this.#components).load() : undefined;
    const results: VerifiedFile[] = [];
    for (const name of (await filesIn(model.directory)).sort()) {
      const isPartial = name.endsWith(RANGES_SUFFIX);
      const file = isPartial ? name.slice(0, -RANGES_SUFFIX.length) : name;
      const result = isPartial
        ? await verifyPartial(model.directory, file, signal, onBytes)
        : await verifyFile(model.directory, file, known?.get(file), signal, onBytes);
      if (result === undefined) continue;
      results.push(result);
      const listed = known?.get(file);
      if (record === undefined || listed === undefined || isPartial) continue;
      // What is damaged is fetched again by the next pull, although nobody seems to have touched it.
      await (result.state === 'right' ? record.verified(listed) : record.doubted(listed));
    }
    return results;
  }

  /**
   * Takes over models from a folder of downloaded ones, as the original's `--models-seed-dir`: they are moved into the first
   * place. What cannot be moved (another disk, not writable) stays, and is used from there where it is a place. Resolves with
   * the repositories that were moved.
   */
  async adopt(seedDir: string): Promise<string[]> {
    const target = this.places.find(({ isWritable }) => isWritable);
    if (target === undefined) return [];
    const moved: string[] = [];
    for (const name of await namesIn(seedDir)) {
      const repository = repositoryOf(name.replace(/^models--/, ''));
      const from = path.join(seedDir, name);
      if (repository === undefined || !(await filesIn(from)).includes('config.json')) continue;
      const to = path.join(target.path, folderName(repository));
      if ((await lstat(to).catch(() => undefined)) !== undefined) continue;
      try {
        await mkdir(target.path, { recursive: true });
        await rename(from, to);
        moved.push(repository);
      } catch {
        // It is used where it is.
      }
    }
    return moved;
  }

  async #look(place: ModelPlace, repository: string, signal: AbortSignal): Promise<StoredModel | undefined> {
    const directory = await folderIn(place, repository);
    if ((await stat(directory).catch(() => undefined))?.isDirectory() !== true) return undefined;
    const survey = await this.#surveys.of(directory, signal);
    if (survey === undefined) return undefined;
    const isLink = (await lstat(directory)).isSymbolicLink();
    return { repository, directory, place, isLink, survey, record: await readRecord(directory) };
  }

  async #unlink(link: string): Promise<void> {
    try {
      await unlink(link);
    } catch (error) {
      throw writeFailure(link, error);
    }
  }

  async #removeFolder(place: string, directory: string): Promise<number> {
    // The name has no way out of the place by itself; this is for a place that changes under our hands.
    if ((await realpath(directory)) !== path.join(await realpath(place), path.basename(directory))) {
      throw new ExoError('state-unwritable', `${directory} leads somewhere else; nothing was removed`);
    }
    if (await isAnyLocked(path.join(directory, STATE_FOLDER), this.#components)) {
      throw new ExoError('model-in-use', `${directory} is being fetched by another process; end it first`, {
        retryable: true,
      });
    }
    const survey = await surveyModel(directory, new AbortController().signal);
    const aside = path.join(
      place,
      `${REMOVED_PREFIX}${this.#components.random.bytes(TOKEN_BYTES).toString('hex')}`,
    );
    try {
      // In one step it is no model any more, also when this process is killed now.
      await rename(directory, aside);
      for (const name of await namesIn(place)) {
        if (name.startsWith(REMOVED_PREFIX))
          await rm(path.join(place, name), { recursive: true, force: true });
      }
    } catch (error) {
      throw writeFailure(directory, error);
    }
    return survey?.bytes ?? 0;
  }
}

/** The folder of a model in a place, there or not; of the hub's own cache that of the commit that its `main` means. */
async function folderIn(place: ModelPlace, repository: string): Promise<string> {
  const name = folderName(repository);
  if (place.isHubCache !== true) return path.join(place.path, name);
  const folder = path.join(place.path, `models--${name}`);
  const commit = await readFile(path.join(folder, 'refs', 'main'), 'utf8').catch(() => '');
  return path.join(folder, 'snapshots', /^[0-9a-f]{40}$/.test(commit.trim()) ? commit.trim() : 'none');
}

/** Names in a folder; none where it is not there or cannot be read. */
async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names: string[] = [];
  for (const entry of entries) {
    const isFile =
      entry.isFile() ||
      (entry.isSymbolicLink() &&
        (await stat(path.join(folder, entry.name)).catch(() => undefined))?.isFile());
    if (isFile === true && !/\.partial$/.test(entry.name)) names.push(entry.name);
  }
  return names;
}
