/** Files of small models for tests of fetching and keeping them: their bytes, not weights that anybody computes with. */
import { seededRandom } from '../../src/shared/index.js';

/** Long enough that no part of a file looks like the next. */
const BLOCK_BYTES = 65_537;

/** Bytes without a zero, so that what was written and what is a hole can be told apart. */
export function solidBytes(count: number, seed: number): Buffer {
  const block = seededRandom(seed).bytes(Math.min(count, BLOCK_BYTES));
  for (let index = 0; index < block.length; index += 1) block[index] = (block[index]! % 255) + 1;
  const out = Buffer.alloc(count);
  for (let at = 0; at < count; at += block.length) {
    block.copy(out, at);
  }
  return out;
}

/** A safetensors file of U8 tensors of these sizes. */
export function safetensors(tensors: Readonly<Record<string, number>>, seed: number): Buffer {
  let at = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, bytes]) => {
      at += bytes;
      return [name, { dtype: 'U8', shape: [bytes], data_offsets: [at - bytes, at] }];
    }),
  );
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, solidBytes(at, seed)]);
}

/** Names of the tensors of a layer. */
export function layerTensors(layer: number, bytes: number): Record<string, number> {
  return {
    [`model.layers.${layer}.input_layernorm.weight`]: 64,
    [`model.layers.${layer}.mlp.down_proj.weight`]: bytes,
    [`model.layers.${layer}.self_attn.q_proj.weight`]: bytes,
  };
}

/** A config as Llama models have it, of which only the number of layers means anything here. */
export function configJson(layers: number): string {
  return JSON.stringify({
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    num_hidden_layers: layers,
    hidden_size: 64,
    intermediate_size: 128,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    vocab_size: 128,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 2048,
  });
}

/** A model of one file of weights: embedding, layers, final norm and output matrix. */
export function singleFileModel(layers: number, bytes: number): Record<string, Buffer | string> {
  let tensors: Record<string, number> = { 'model.embed_tokens.weight': bytes };
  for (let layer = 0; layer < layers; layer += 1) tensors = { ...tensors, ...layerTensors(layer, bytes) };
  return {
    'README.md': '# a model',
    'config.json': configJson(layers),
    'model.safetensors': safetensors({ ...tensors, 'model.norm.weight': 64, 'lm_head.weight': bytes }, 1),
    'tokenizer.json': '{"model":{}}',
    'tokenizer_config.json': '{}',
    'pytorch_model.bin': solidBytes(100_000, 9),
  };
}

/** A model whose weights lie in one file for each `perFile` layers, with an index. */
export function shardedModel(
  layers: number,
  perFile: number,
  bytes: number,
): Record<string, Buffer | string> {
  const count = Math.ceil(layers / perFile);
  const files: Record<string, Record<string, number>> = {};
  const nameOf = (at: number) =>
    `model-${String(at + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`;
  for (let layer = 0; layer < layers; layer += 1) {
    const name = nameOf(Math.floor(layer / perFile));
    files[name] = { ...files[name], ...layerTensors(layer, bytes) };
  }
  files[nameOf(0)] = { 'model.embed_tokens.weight': bytes, ...files[nameOf(0)] };
  files[nameOf(count - 1)] = {
    ...files[nameOf(count - 1)],
    'lm_head.weight': bytes,
    'model.norm.weight': 64,
  };
  const map = Object.entries(files).flatMap(([file, tensors]) =>
    Object.keys(tensors).map((name) => [name, file]),
  );
  return {
    'config.json': configJson(layers),
    'tokenizer.json': '{"model":{}}',
    'model.safetensors.index.json': JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(map) }),
    ...Object.fromEntries(
      Object.entries(files).map(([name, tensors], at) => [name, safetensors(tensors, at)]),
    ),
  };
}
