/** The models of test/golden as checkpoints on disk, and what transformers computes of them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GgmlEngine, type GgmlOptions } from '../../../src/inference/engines/ggml/index.js';
import { FixedModels, type ForwardResult, type Tokenizer } from '../../../src/inference/index.js';
import type { Shard } from '../../../src/protocol/index.js';
import { type Clock, ExoError, silentLogger, systemClock } from '../../../src/shared/index.js';
import { split } from '../../compliance/engine-suite.js';
import { ROOT } from '../../support/processes.js';
import { type RandomType, writeRandomCheckpoint } from '../../support/random-checkpoint.js';

const GOLDEN = path.join(ROOT, 'test/golden');

/** One prompt and what follows it. */
export interface GoldenPrompt {
  readonly tokens: readonly number[];
  /** Greedy answer. */
  readonly ids: readonly number[];
  /** Logits after the first `position + 1` tokens of prompt and answer. */
  readonly logits: ReadonlyMap<number, Float32Array>;
}

/** One variant. */
export interface GoldenModel {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly layers: number;
  readonly seed: number;
  readonly prompts: readonly GoldenPrompt[];
}

/** Names of the variants. */
export const GOLDEN_NAMES = readdirSync(GOLDEN)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length))
  .sort();

/** Reads one. */
export function goldenModel(name: string): GoldenModel {
  const { config, seed, prompts } = JSON.parse(readFileSync(path.join(GOLDEN, `${name}.json`), 'utf8'));
  return {
    name,
    config,
    seed,
    layers: config.num_hidden_layers,
    prompts: prompts.map(
      ({
        tokens,
        ids,
        positions,
        logits,
      }: {
        tokens: number[];
        ids: number[];
        positions: number[];
        logits: string;
      }) => {
        const bytes = Uint8Array.from(Buffer.from(logits, 'base64'));
        const all = new Float32Array(bytes.buffer);
        const vocab = all.length / positions.length;
        return {
          tokens,
          ids,
          logits: new Map(
            positions.map((at, index) => [at, all.subarray(index * vocab, (index + 1) * vocab)]),
          ),
        };
      },
    ),
  };
}

/** Checkpoints in a folder of their own; a model's id is the name of its folder in there. */
export class ModelFolder {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'exo-test-'));

  /** Writes a checkpoint and gives its id. */
  async write(model: GoldenModel, type: RandomType = 'F32'): Promise<string> {
    const id = `${model.name}-${type}`;
    await writeRandomCheckpoint(path.join(this.directory, id), model.config, { seed: model.seed, type });
    return id;
  }

  async directoryOf(modelId: string): Promise<string> {
    if (readdirSync(this.directory).includes(modelId)) return path.join(this.directory, modelId);
    throw new ExoError('model-unknown', `there is no model ${modelId}`);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Every character is a token: the models of random weights have no words. */
export const CHARACTERS: Tokenizer = {
  eosTokenIds: new Set([2]),
  encode: async (text) => Array.from(text, (character) => 3 + (character.charCodeAt(0) % 128)),
  decode: (tokens) => String.fromCharCode(...tokens.map((token) => 32 + (token % 90))),
  applyChatTemplate: async (messages) => messages.map(({ content }) => content).join('\n'),
};

/** An engine over such a folder, with one thread: the models are smaller than what a second one saves. */
export function goldenEngine(
  folder: ModelFolder,
  options: GgmlOptions = {},
  clock: Clock = systemClock,
): GgmlEngine {
  return new GgmlEngine(
    { device: 'cpu', threads: 1, quiet: true, ...options },
    {
      clock,
      logger: silentLogger,
      files: folder,
      models: new FixedModels('ggml', [{ id: 'golden', name: 'Golden', layers: 1, ready: true }]),
      openTokenizer: async () => CHARACTERS,
    },
  );
}

/** One request through all shards of a split, as a ring would send it. */
export class ShardedRequest {
  readonly #engine: GgmlEngine;
  readonly #shards: readonly Shard[];
  readonly #requestId: string;
  position = 0;

  constructor(engine: GgmlEngine, modelId: string, layers: number, parts: number, requestId: string) {
    this.#engine = engine;
    this.#shards = split(modelId, layers, parts);
    this.#requestId = requestId;
  }

  /** Logits of the last of these tokens. */
  async step(tokens: readonly number[], signal = new AbortController().signal): Promise<Float32Array> {
    let output: ForwardResult | undefined;
    for (const shard of this.#shards) {
      output = await this.#engine.forward({
        // Each shard has its own cache, as if on its own node.
        requestId: `${this.#requestId}/${shard.startLayer}`,
        shard,
        input:
          output?.kind === 'hidden' ? { kind: 'hidden', hidden: output.hidden } : { kind: 'tokens', tokens },
        position: this.position,
        signal,
      });
    }
    this.position += tokens.length;
    if (output?.kind !== 'logits') throw new Error('the last shard gave no logits');
    const { data } = output.logits;
    return new Float32Array(data.buffer, data.byteOffset, data.length / 4);
  }

  release(): void {
    for (const { startLayer } of this.#shards) this.#engine.release(`${this.#requestId}/${startLayer}`);
  }
}

/** Where a row is highest. */
export function greedy(logits: ArrayLike<number>): number {
  let best = 0;
  for (let index = 1; index < logits.length; index += 1) if (logits[index]! > logits[best]!) best = index;
  return best;
}

/** The largest difference. */
export function errorOf(logits: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = 0;
  for (let index = 0; index < expected.length; index += 1) {
    worst = Math.max(worst, Math.abs(logits[index]! - expected[index]!));
  }
  return worst;
}
