/** A small random model whose rows are long enough for every type of weights, as a checkpoint on disk, and its shards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SequenceCache } from '../../../src/inference/engines/ggml/cache/sequence-cache.js';
import type { Device } from '../../../src/inference/engines/ggml/library/index.js';
import { Shard } from '../../../src/inference/engines/ggml/shard.js';
import { MadeFiles } from '../../../src/inference/engines/ggml/weights/made-files.js';
import type { Quantisation } from '../../../src/inference/engines/ggml/weights/quantisation.js';
import { Checkpoint } from '../../../src/models/index.js';
import { type RandomType, writeRandomCheckpoint } from '../../support/random-checkpoint.js';

/** Of the model. */
export const WIDE_LAYERS = 2;
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: WIDE_LAYERS,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 320,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
};
/** Tokens of `logits`. */
export const WIDE_PROMPT = [3, 17, 99, 4, 4, 28, 150, 77, 5, 61, 12, 140, 8];

/** The model in a folder of its own. */
export class WideModel {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'exo-test-'));
  readonly checkpoint = path.join(this.directory, 'model');
  /** Where made weights may be kept. */
  readonly made = path.join(this.directory, 'made');

  write(seed: number, type: RandomType = 'F32', vocab = CONFIG.vocab_size): Promise<void> {
    return writeRandomCheckpoint(this.checkpoint, { ...CONFIG, vocab_size: vocab }, { seed, type });
  }

  /** Logits after each token of a prompt; the weights are kept where `bytesMax` is given. */
  async logits(device: Device, quantisation: Quantisation, bytesMax?: number): Promise<Float32Array[]> {
    const { architecture, tensors } = await Checkpoint.open(this.checkpoint, new AbortController().signal);
    const source = {
      architecture,
      tensors: Object.fromEntries(tensors),
      startLayer: 0,
      endLayer: WIDE_LAYERS - 1,
    };
    const made = bytesMax === undefined ? undefined : new MadeFiles({ directory: this.made, bytesMax });
    const shard = new Shard(device, source, { cacheType: 'f32', quantisation }, made);
    const cache = new SequenceCache(device, shard.cacheShape);
    cache.grow(256);
    const all: Float32Array[] = [];
    for (const token of WIDE_PROMPT) {
      const part = { cache, sequence: 1, wantsLogits: true, hidden: shard.embed([token]) };
      all.push((await shard.step([part]))[0]!);
    }
    cache.close();
    shard.close();
    return all;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Root mean square of the differences over that of the values. */
export function relativeError(values: readonly Float32Array[], expected: readonly Float32Array[]): number {
  let [difference, size] = [0, 0];
  for (const [at, row] of expected.entries()) {
    for (const [index, value] of row.entries()) {
      difference += (values[at]![index]! - value) ** 2;
      size += value ** 2;
    }
  }
  return Math.sqrt(difference / size);
}
