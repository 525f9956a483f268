/**
 * Models that the ggml engine computes in tests of whole nodes: random weights in the shape of a small Llama, with the tokenizer
 * and the template of the demo model, so that text goes in and comes out.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DEMO_DIRECTORY } from '../../src/models/index.js';
import { type RandomType, writeRandomCheckpoint } from './random-checkpoint.js';

/** The model's name in requests. */
export const RANDOM_MODEL = 'exo-test/random';
/** Its folder in a place of models. */
const FOLDER = 'exo-test--random';
/** Enough for shards of different sizes on five nodes. */
export const RANDOM_LAYERS = 8;
const FILES = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'] as const;

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 1024,
  hidden_size: 128,
  intermediate_size: 320,
  num_hidden_layers: RANDOM_LAYERS,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  hidden_act: 'silu',
  bos_token_id: 0,
  eos_token_id: 1,
  // With a tied embedding a random model repeats one token.
  tie_word_embeddings: false,
};

/** Writes the model into a place of models (`EXO_MODELS_READ_ONLY_DIRS`); gives its own folder. */
export async function writeRandomModel(
  place: string,
  options: { readonly seed: number; readonly type?: RandomType },
): Promise<string> {
  const folder = path.join(place, FOLDER);
  const { type = 'F32' } = options;
  const config = { ...CONFIG, torch_dtype: { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }[type] };
  await writeRandomCheckpoint(folder, config, options);
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(path.join(DEMO_DIRECTORY, name), path.join(folder, name));
  }
  return folder;
}

/** The files of such a folder, as a hub has them. */
export function modelFiles(folder: string): Record<string, Buffer> {
  return Object.fromEntries(FILES.map((name) => [name, readFileSync(path.join(folder, name))]));
}
