/**
 * What of a model is in a folder: which layers, how many bytes, what is missing or damaged. Told by config, index, the headers of
 * the weights and their lengths; no weight is read. Called by `surveys.ts`.
 */
import { access, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { ExoError, LIMITS, toExoError } from '../../shared/index.js';
import { readArchitecture } from '../architecture/config.js';
import { CHECKPOINT_FILE, Checkpoint } from '../checkpoint/checkpoint.js';
import { CHECKPOINT_INDEX, parseCheckpointIndex } from '../checkpoint/checkpoint-index.js';
import { readSafetensors } from '../checkpoint/safetensors.js';
import { readBoundedIfThere } from '../disk/bounded-file.js';
import { CONFIG_FILE, isNeeded, isTied, type LayerRange, layerOf, layersOf } from '../download/plan.js';
import { covers, sum } from '../download/ranges.js';
import { weightsOnDisk } from './weights.js';

const TOKENIZER_FILE = 'tokenizer.json';

/** What is there. */
export class ModelSurvey {
  readonly directory: string;
  /** Names of the files of weights, there or not. */
  readonly files: readonly string[];
  /** Names of all files that are there. */
  readonly others: ReadonlySet<string>;
  /** Of the whole model; undefined where there is no config that says so. */
  readonly layers: number | undefined;
  /** Tokens that the model was made for; undefined also where its architecture is not computed. */
  readonly contextTokens: number | undefined;
  /** Why it cannot be computed, whatever else is fetched of it; undefined where nothing is known against it. */
  readonly fault: string | undefined;
  /** On disk, holes not counted. */
  readonly bytes: number;
  /** Files of weights that are there neither whole nor in part. */
  readonly missing: readonly string[];
  /** Files of weights that cannot be what they should: too short, no header. With the reason. */
  readonly damaged: ReadonlyArray<{ readonly file: string; readonly reason: string }>;
  readonly #fileOf: ReadonlyMap<string, string>;
  readonly #present: ReadonlySet<string>;

  constructor(found: {
    readonly directory: string;
    readonly files: readonly string[];
    readonly others: ReadonlySet<string>;
    readonly layers: number | undefined;
    readonly contextTokens: number | undefined;
    readonly fault: string | undefined;
    readonly bytes: number;
    readonly missing: readonly string[];
    readonly damaged: ReadonlyArray<{ readonly file: string; readonly reason: string }>;
    /** The file of each tensor, as far as they are known. */
    readonly fileOf: ReadonlyMap<string, string>;
    readonly present: ReadonlySet<string>;
  }) {
    this.directory = found.directory;
    this.files = found.files;
    this.others = found.others;
    this.layers = found.layers;
    this.contextTokens = found.contextTokens;
    this.fault = found.fault;
    this.bytes = found.bytes;
    this.missing = found.missing;
    this.damaged = found.damaged;
    this.#fileOf = found.fileOf;
    this.#present = found.present;
  }

  /** Whether everything that a shard needs is there; without a shard everything. */
  has(shard?: LayerRange): boolean {
    if (this.layers === undefined || this.#fileOf.size === 0) return false;
    if (shard !== undefined && shard.endLayer >= this.layers) return false;
    return this.#needed(shard).every((name) => this.#present.has(name));
  }

  /** The files of weights in which something is that a shard needs; without a shard all. */
  filesOf(shard?: LayerRange): string[] {
    return [...new Set(this.#needed(shard).map((name) => this.#fileOf.get(name)!))];
  }

  #needed(shard: LayerRange | undefined): string[] {
    const names = [...this.#fileOf.keys()];
    const tied = isTied(names);
    return names.filter((name) => isNeeded(name, shard, tied));
  }

  /** Layers that are there, as ranges with both ends included. */
  get presentLayers(): ReadonlyArray<readonly [from: number, to: number]> {
    const lacking = new Set<number>();
    const known = new Set<number>();
    for (const name of this.#fileOf.keys()) {
      const layer = layerOf(name);
      if (layer === undefined) continue;
      known.add(layer);
      if (!this.#present.has(name)) lacking.add(layer);
    }
    const ranges: Array<[number, number]> = [];
    for (let layer = 0; layer < (this.layers ?? 0); layer += 1) {
      if (!known.has(layer) || lacking.has(layer)) continue;
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === layer - 1) last[1] = layer;
      else ranges.push([layer, layer]);
    }
    return ranges;
  }
}

/** Looks into a folder; undefined where it holds no model. Rejects with the signal's reason. */
export async function surveyModel(directory: string, signal: AbortSignal): Promise<ModelSurvey | undefined> {
  const config = await jsonOf(path.join(directory, CONFIG_FILE), LIMITS.modelConfigBytesMax, signal);
  const places = await placesOf(directory, signal);
  const files = places === undefined ? [CHECKPOINT_FILE] : [...new Set(places.values())];
  const fileOf = new Map(places);
  const present = new Set<string>();
  const missing: string[] = [];
  const damaged: Array<{ file: string; reason: string }> = [];
  const there = await filesIn(directory, files);
  let { bytes } = there;
  for (const name of files) {
    const found = await weightsOnDisk(path.join(directory, name));
    if (found === undefined) {
      missing.push(name);
      continue;
    }
    bytes += found.ranges === undefined ? (await stat(found.file)).size : sum(found.ranges);
    try {
      for (const entry of (await readSafetensors(found.file, signal)).values()) {
        if (places === undefined) fileOf.set(entry.name, name);
        else if (places.get(entry.name) !== name) continue;
        const isThere =
          found.ranges === undefined || covers(found.ranges, [entry.offset, entry.offset + entry.bytes]);
        if (isThere) present.add(entry.name);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ExoError)) throw error;
      // Of a file that has just been begun not even the header is there.
      if (found.ranges === undefined) damaged.push({ file: name, reason: error.message });
      else missing.push(name);
    }
  }
  if (config === undefined && bytes === 0) return undefined;
  const about = {
    ...{ directory, files, others: there.others, layers: layersOf(config) },
    ...{ bytes, missing, damaged, fileOf, present },
  };
  const meant = architectureOf(config, there.others);
  const survey = new ModelSurvey({ ...about, ...meant });
  if (meant.fault !== undefined || !survey.has()) return survey;
  const fault = await faultOf(directory, about.layers!, signal);
  return fault === undefined ? survey : new ModelSurvey({ ...about, ...meant, fault });
}

/** What a config says; of one that is not there nothing, because it may come yet. */
function architectureOf(
  config: unknown,
  others: ReadonlySet<string>,
): Pick<ModelSurvey, 'contextTokens' | 'fault'> {
  if (config === undefined) {
    const fault = others.has(CONFIG_FILE) ? `${CONFIG_FILE} is not JSON that can be read` : undefined;
    return { contextTokens: undefined, fault };
  }
  try {
    return { contextTokens: readArchitecture(config).contextLength, fault: undefined };
  } catch (error) {
    return { contextTokens: undefined, fault: toExoError(error).message };
  }
}

/** What is wrong with a model of which all files of weights are there. */
async function faultOf(directory: string, layers: number, signal: AbortSignal): Promise<string | undefined> {
  try {
    (await Checkpoint.open(directory, signal)).tensorsOf(0, layers - 1);
    await access(path.join(directory, TOKENIZER_FILE));
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return isMissing
      ? `${TOKENIZER_FILE} is not there; fetch it (exo model pull)`
      : toExoError(error).message;
  }
}

/** One file counts before an index, as when it is read. */
async function placesOf(
  directory: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  if ((await weightsOnDisk(path.join(directory, CHECKPOINT_FILE))) !== undefined) return undefined;
  const file = path.join(directory, CHECKPOINT_INDEX);
  const text = await textOf(file, LIMITS.checkpointIndexBytesMax, signal);
  try {
    return text === undefined ? undefined : parseCheckpointIndex(text, file);
  } catch {
    return undefined;
  }
}

/** Names of the files of a folder, and how long those are together that hold no weights. */
async function filesIn(
  directory: string,
  weights: readonly string[],
): Promise<{ readonly others: ReadonlySet<string>; readonly bytes: number }> {
  const others = new Set<string>();
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) continue;
    const stats = await stat(path.join(directory, entry.name)).catch(() => undefined);
    if (stats?.isFile() !== true) continue;
    others.add(entry.name);
    if (!weights.some((name) => entry.name.startsWith(name))) bytes += stats.size;
  }
  return { others, bytes };
}

async function jsonOf(file: string, bytesMax: number, signal: AbortSignal): Promise<unknown> {
  try {
    return JSON.parse((await textOf(file, bytesMax, signal)) ?? '');
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

async function textOf(file: string, bytesMax: number, signal: AbortSignal): Promise<string | undefined> {
  try {
    const fault = (why: string) => new ExoError('checkpoint-invalid', `${file} ${why}`);
    return (await readBoundedIfThere(file, bytesMax, fault, signal))?.toString('utf8');
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
