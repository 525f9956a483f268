/**
 * A checkpoint in a folder: `config.json` and safetensors, in one file or in several with an index. Knows where each tensor
 * lies and that those of a range of layers are all there in their shapes. Reads no weights. A node may have only the
 * files that its layers need, so a file that is not there is an error only when a tensor of it is asked for.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import type { Architecture } from '../architecture/architecture.js';
import { type ArchitectureOptions, readArchitecture } from '../architecture/config.js';
import { Fields } from '../architecture/fields.js';
import { mlxParts, readMlxQuantization } from '../architecture/mlx.js';
import type { MlxQuantization, TensorEntry, WeightType } from '../architecture/tensor-entry.js';
import { type WantedTensor, wantedTensors } from '../architecture/weight-shapes.js';
import { readBounded } from '../disk/bounded-file.js';
import { covers } from '../download/ranges.js';
import { weightsOnDisk } from '../store/weights.js';
import { CHECKPOINT_INDEX, parseCheckpointIndex } from './checkpoint-index.js';
import { readSafetensors, type SafetensorsEntry, type SafetensorsType } from './safetensors.js';

/** Its name where there is one file. */
export const CHECKPOINT_FILE = 'model.safetensors';

const WEIGHT_TYPES: readonly WeightType[] = ['F32', 'F16', 'BF16', 'U32', 'U8', 'I32', 'I64'];
/** What a weight, a norm or a bias may be. */
const FLOATS: readonly string[] = ['F32', 'F16', 'BF16'];

/** What `open` found out. */
interface Contents {
  readonly directory: string;
  readonly architecture: Architecture;
  readonly mlx?: MlxQuantization;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Tensors of types that no engine takes. */
  readonly others: ReadonlyMap<string, SafetensorsType>;
  /** By tensor, as the index says; undefined where there is none. */
  readonly places: ReadonlyMap<string, string> | undefined;
}

/** One checkpoint. Nothing is kept open. */
export class Checkpoint {
  /** Absolute path. */
  readonly directory: string;
  readonly architecture: Architecture;
  /** How an mlx-community checkpoint is quantised. */
  readonly mlx?: MlxQuantization;
  /** Of the files that are there, by name. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #contents: Contents;

  private constructor(contents: Contents) {
    this.#contents = contents;
    this.directory = contents.directory;
    this.architecture = contents.architecture;
    this.tensors = contents.tensors;
    if (contents.mlx !== undefined) this.mlx = contents.mlx;
  }

  /**
   * Reads config, index and headers. Throws `model-unsupported`, `checkpoint-invalid` (names file and tensor), or the
   * signal's reason.
   * @param options.mayLackWeights a folder to which none has come yet is opened, too: its config says what they will be
   */
  static async open(
    directory: string,
    signal: AbortSignal,
    options: ArchitectureOptions & { readonly mayLackWeights?: boolean } = {},
  ): Promise<Checkpoint> {
    const folder = path.resolve(directory);
    const config = await readConfig(folder, signal);
    const architecture = readArchitecture(config, options);
    const mlx = readMlxQuantization(new Fields(config, 'config.json'));
    const { mayLackWeights = false } = options;
    const places = await readPlaces(folder, signal, mayLackWeights);
    const tensors = new Map<string, TensorEntry>();
    const others = new Map<string, SafetensorsType>();
    const names = places === undefined ? [CHECKPOINT_FILE] : [...new Set(places.values())];
    for (const name of names) {
      const found = await weightsOnDisk(path.join(folder, name));
      if (found === undefined && places !== undefined) continue;
      const file = found?.file ?? path.join(folder, name);
      for (const entry of await entriesOf(file, signal, mayLackWeights && found?.ranges !== undefined)) {
        // Of a file that is here in part, what is not here is a hole.
        if (found?.ranges !== undefined && !covers(found.ranges, [entry.offset, entry.offset + entry.bytes]))
          continue;
        // What the index places elsewhere does not count: two files may hold a tensor of one name.
        if (places !== undefined && places.get(entry.name) !== name) continue;
        if (isWeight(entry)) tensors.set(entry.name, { ...entry, file });
        else others.set(entry.name, entry.type);
      }
    }
    return new Checkpoint({
      directory: folder,
      architecture,
      tensors,
      others,
      places,
      ...(mlx === undefined ? {} : { mlx }),
    });
  }

  /**
   * Names of the tensors that the layers from `startLayer` to `endLayer` need, both included: with the embedding for layer 0,
   * with final norm and head for the last, and with scales and biases where mlx has quantised. All are there, in type and
   * shape as the architecture has them. Throws `checkpoint-invalid`, or a RangeError for layers that are not there.
   */
  tensorsOf(startLayer: number, endLayer: number): readonly string[] {
    return wantedTensors(this.architecture, startLayer, endLayer).flatMap((wanted) => this.#check(wanted));
  }

  /** The names of one weight: its own, and those of what unpacks it. */
  #check(wanted: WantedTensor): readonly string[] {
    const entry = this.#find(wanted.name, wanted);
    const parts = this.mlx === undefined || entry.type !== 'U32' ? undefined : mlxParts(wanted, this.mlx);
    if (parts === undefined) {
      this.#checkEntry(entry, wanted, FLOATS);
      return [wanted.name];
    }
    const { weight, scales, biases } = parts;
    this.#checkEntry(entry, weight, ['U32']);
    for (const part of [scales, biases]) this.#checkEntry(this.#find(part.name, part), part, FLOATS);
    return [weight.name, scales.name, biases.name];
  }

  #find(name: string, { shape }: WantedTensor): TensorEntry {
    const { tensors, others, places, directory } = this.#contents;
    const entry = tensors.get(name);
    if (entry !== undefined) return entry;
    const what = `tensor "${name}" (${shape.join(' × ')})`;
    const other = others.get(name);
    if (other !== undefined) {
      throw this.#fault(`${what} has the type ${other}, which is not computed; take another conversion`);
    }
    const place = places?.get(name);
    if (place !== undefined) {
      const file = path.join(directory, place);
      const isThere = [...tensors.values()].some((known) => known.file === file);
      throw this.#fault(
        isThere
          ? `${what} is not in ${place}, where the index places it; fetch both again (exo model pull)`
          : `${what} lies in ${place}, which is not there; fetch it (exo model pull)`,
      );
    }
    throw this.#fault(
      `${what} is missing, which the architecture ${this.architecture.family} needs; take another conversion of the model`,
    );
  }

  #checkEntry(entry: TensorEntry, wanted: WantedTensor, types: readonly string[]): void {
    const isShape =
      entry.shape.length === wanted.shape.length &&
      entry.shape.every((size, index) => size === wanted.shape[index]);
    if (isShape && types.includes(entry.type)) return;
    throw this.#fault(
      `tensor "${wanted.name}" in ${path.basename(entry.file)} is ${entry.type} [${entry.shape.join(', ')}] and must be ${types.join(', ')} [${wanted.shape.join(', ')}] by config.json; the two are not of one model: fetch both again (exo model pull)`,
    );
  }

  #fault(why: string): ExoError {
    return new ExoError('checkpoint-invalid', `${printable(this.directory)}: ${why}`);
  }
}

function isWeight(entry: SafetensorsEntry): entry is SafetensorsEntry & { type: WeightType } {
  return (WEIGHT_TYPES as readonly string[]).includes(entry.type);
}

async function readConfig(folder: string, signal: AbortSignal): Promise<unknown> {
  const file = path.join(folder, 'config.json');
  const fault = (why: string, cause?: unknown) =>
    new ExoError(
      'checkpoint-invalid',
      `${printable(file)} ${why}; a model’s folder has a config.json beside its weights: name another, or fetch it (exo model pull)`,
      cause === undefined ? {} : { cause },
    );
  const bytes = await readBounded(file, LIMITS.modelConfigBytesMax, fault, signal);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw fault('is not JSON', error);
  }
}

/** One file counts before an index, as in transformers. */
/** `isBegun`: of a file that is being fetched not even the header may have come. */
async function entriesOf(file: string, signal: AbortSignal, isBegun: boolean): Promise<SafetensorsEntry[]> {
  try {
    return [...(await readSafetensors(file, signal)).values()];
  } catch (error) {
    signal.throwIfAborted();
    if (isBegun && error instanceof ExoError) return [];
    throw error;
  }
}

async function readPlaces(
  folder: string,
  signal: AbortSignal,
  mayLackWeights: boolean,
): Promise<ReadonlyMap<string, string> | undefined> {
  if ((await weightsOnDisk(path.join(folder, CHECKPOINT_FILE))) !== undefined) return undefined;
  const file = path.join(folder, CHECKPOINT_INDEX);
  if (mayLackWeights && !existsSync(file)) return new Map();
  const fault = (why: string, cause?: unknown) =>
    new ExoError(
      'checkpoint-invalid',
      why === 'is not there'
        ? `${printable(folder)} has neither ${CHECKPOINT_FILE} nor ${CHECKPOINT_INDEX}: only weights in safetensors are read; fetch them (exo model pull), or take another conversion of the model`
        : `${printable(file)} ${why}; fetch it again (exo model pull)`,
      cause === undefined ? {} : { cause },
    );
  const bytes = await readBounded(file, LIMITS.checkpointIndexBytesMax, fault, signal);
  return parseCheckpointIndex(bytes.toString('utf8'), file);
}
