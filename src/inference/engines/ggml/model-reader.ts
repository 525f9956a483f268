/**
 * What the engine must know of a model before it can be computed: architecture, places of the tensors, tokenizer. Opened
 * once for each model; reads no weights. Called by `ggml-engine.ts`.
 */
import {
  type Architecture,
  type ArchitectureOptions,
  Checkpoint,
  type MlxQuantization,
  openThreadedTokenizer,
  type TensorEntry,
} from '../../../models/index.js';
import type { Shard } from '../../../protocol/index.js';
import { ExoError, LIMITS, printable } from '../../../shared/index.js';
import type { Tokenizer } from '../../engine.js';
import type { StoredForm } from './weights/layer-cost.js';

/** Where the files of a model are. */
export interface ModelFiles {
  /** The folder of a model, complete or not. Throws `model-unknown`. */
  directoryOf(modelId: string, signal: AbortSignal): Promise<string>;
  /**
   * A folder in which everything is that a shard needs; waits until it has been fetched. Throws `model-unknown`, `model-absent` or
   * what fetching it throws. Absent: everything is in the folder of the model.
   */
  shardDirectory?(shard: Shard, signal: AbortSignal): Promise<string>;
}

/** What the reader asks. */
export interface ModelReaderComponents {
  readonly files: ModelFiles;
  /** @default the tokenizer of the checkpoint */
  readonly openTokenizer?: (directory: string, signal: AbortSignal) => Promise<Tokenizer>;
}

/** A shard's model, as it crosses to the process. */
export interface LoadedModel {
  readonly architecture: Architecture;
  readonly tensors: Readonly<Record<string, TensorEntry>>;
  readonly mlx?: MlxQuantization;
}

/** Opened models and their tokenizers. */
export class ModelReader {
  readonly #options: ArchitectureOptions;
  readonly #components: ModelReaderComponents;
  /** By model, the one that was used last at the end. */
  readonly #tokenizers = new Map<string, Promise<Tokenizer>>();

  constructor(options: ArchitectureOptions, components: ModelReaderComponents) {
    this.#options = options;
    this.#components = components;
  }

  /** Throws `model-unknown`, or `tokenizer-invalid`. */
  tokenizer(modelId: string, signal: AbortSignal): Promise<Tokenizer> {
    const known = this.#tokenizers.get(modelId);
    if (known !== undefined) {
      // The one that was not used for longest makes room.
      this.#tokenizers.delete(modelId);
      this.#tokenizers.set(modelId, known);
      return known;
    }
    const opening: Promise<Tokenizer> = this.#openTokenizer(modelId, signal).catch((error: unknown) => {
      // It may have made room, and been opened anew, since.
      if (this.#tokenizers.get(modelId) === opening) this.#tokenizers.delete(modelId);
      throw error;
    });
    const [oldest] = this.#tokenizers.keys();
    if (this.#tokenizers.size >= LIMITS.tokenizersMax && oldest !== undefined) void this.#close(oldest);
    this.#tokenizers.set(modelId, opening);
    return opening;
  }

  /**
   * The model of a shard with the tensors of its layers; read anew each time, because files may have come since.
   * Throws `model-unknown`, `model-unsupported`, `checkpoint-invalid` or `engine-failed`.
   */
  async shard(shard: Shard, signal: AbortSignal): Promise<LoadedModel> {
    const { modelId, startLayer, endLayer, nLayers } = shard;
    const { files } = this.#components;
    const directory = await (files.shardDirectory?.(shard, signal) ?? files.directoryOf(modelId, signal));
    const checkpoint = await Checkpoint.open(directory, signal, this.#options);
    const { architecture, mlx } = checkpoint;
    const count = architecture.layers.length;
    const isInside = Number.isInteger(startLayer) && Number.isInteger(endLayer) && startLayer >= 0;
    if (nLayers !== count || !isInside || startLayer > endLayer || endLayer >= count) {
      throw new ExoError(
        'engine-failed',
        `${printable(modelId)} has the layers 0 to ${count - 1}; ${startLayer} to ${endLayer} of ${nLayers} is no shard of it`,
      );
    }
    const names = checkpoint.tensorsOf(startLayer, endLayer);
    const tensors = Object.fromEntries(names.map((name) => [name, checkpoint.tensors.get(name)!]));
    return { architecture, tensors, ...(mlx === undefined ? {} : { mlx }) };
  }

  /** Architecture and form of the weights of a model, of which files may be missing, also all. Throws as `shard` does. */
  async describe(
    modelId: string,
    signal: AbortSignal,
  ): Promise<StoredForm & { readonly architecture: Architecture }> {
    const directory = await this.#components.files.directoryOf(modelId, signal);
    const options = { ...this.#options, mayLackWeights: true };
    const { architecture, mlx, tensors } = await Checkpoint.open(directory, signal, options);
    const refs = architecture.layers.map(({ weights }) => tensors.get(weights.q.tensor));
    // Packed matrices say nothing of what is not packed, which the norms do.
    const known = refs.find((entry) => entry !== undefined && entry.type !== 'U32');
    const type = (known ?? tensors.get(architecture.finalNorm.tensor))?.type ?? 'BF16';
    return { architecture, type, ...(mlx === undefined ? {} : { mlx }) };
  }

  /** Resolves when the tokenizers' threads are gone. */
  async clear(): Promise<void> {
    await Promise.all([...this.#tokenizers.keys()].map((modelId) => this.#close(modelId)));
  }

  async #close(modelId: string): Promise<void> {
    const tokenizer = this.#tokenizers.get(modelId);
    this.#tokenizers.delete(modelId);
    await (await tokenizer?.catch(() => undefined))?.close?.();
  }

  async #openTokenizer(modelId: string, signal: AbortSignal): Promise<Tokenizer> {
    const directory = await this.#components.files.directoryOf(modelId, signal);
    return (this.#components.openTokenizer ?? openThreadedTokenizer)(directory, signal);
  }
}
