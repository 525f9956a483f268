/**
 * Names, shapes and values of the tensors of random checkpoints. A value is a pure function of seed, name and index, and
 * `tools/golden/weights.py` computes the same bits: the vectors in test/golden hold for weights that are never committed.
 * Not a reader of config.json for the product (src/models has that): this knows what transformers writes, and no more.
 */

/** One tensor to be. */
export interface RandomTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Values are uniform in [mean - spread, mean + spread). */
  readonly mean: number;
  readonly spread: number;
}

/** A config.json, as transformers has it. */
export type ModelConfig = Readonly<Record<string, unknown>>;

/** 2^32 over the golden ratio, odd: neighbouring indexes land far apart. */
const STEP = 0x9e3779b1;
/** Post norms of Gemma add this to 1: what a layer says must outweigh the tied embedding, or the input is repeated. */
const GEMMA_POST_NORM_MEAN = 7;
/** Norms and biases are spread this far around their mean: far enough that leaving one out shows. */
const VECTOR_SPREAD = 0.5;
/** Deviation of embeddings; small, so that what layers say outweighs a tied one. */
const EMBEDDING_DEVIATION = 0.15;
/** Deviation of logits where the head is not tied. */
const LOGIT_DEVIATION = 1.5;
/**
 * Deviation of what a matrix makes of inputs that deviate by 1. With less, greedy answers repeat themselves; with more,
 * float32 in another order moves logits by more than 1e-5.
 */
const MATRIX_GAIN = 1.25;

/** The tensors of a checkpoint with this config, in the order of their names. Throws for a family that it does not know. */
export function randomTensors(config: ModelConfig): readonly RandomTensor[] {
  const family = String(config['model_type']);
  const gemma = family === 'gemma2' || family === 'gemma3_text';
  if (!gemma && !['llama', 'mistral', 'qwen2', 'qwen3', 'phi3'].includes(family)) {
    throw new Error(`no random checkpoint for the model_type ${family}`);
  }
  const number = (key: string, fallback?: number): number => {
    const value = config[key] ?? fallback;
    if (typeof value !== 'number') throw new Error(`config.json has no ${key}`);
    return value;
  };
  const hidden = number('hidden_size');
  const heads = number('num_attention_heads');
  const headDim = number('head_dim', gemma ? undefined : hidden / heads);
  const vocab = number('vocab_size');
  const sizes = {
    hidden,
    q: heads * headDim,
    kv: number('num_key_value_heads', heads) * headDim,
    headDim,
    inner: number('intermediate_size'),
  };
  const shapes: [name: string, shape: readonly number[]][] = [
    ['model.embed_tokens.weight', [vocab, hidden]],
    ['model.norm.weight', [hidden]],
  ];
  if (!(config['tie_word_embeddings'] ?? gemma)) shapes.push(['lm_head.weight', [vocab, hidden]]);
  for (let layer = 0; layer < number('num_hidden_layers'); layer++) {
    for (const [name, shape] of layerShapes(family, config, sizes)) {
      shapes.push([`model.layers.${layer}.${name}`, shape]);
    }
  }
  return shapes
    .map(([name, shape]) => ({ name, shape, ...rangeOf(name, shape, gemma) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface Sizes {
  readonly hidden: number;
  readonly q: number;
  readonly kv: number;
  readonly headDim: number;
  readonly inner: number;
}

function layerShapes(family: string, config: ModelConfig, sizes: Sizes): [string, readonly number[]][] {
  const { hidden, q, kv, headDim, inner } = sizes;
  const shapes: [string, readonly number[]][] = [
    ['self_attn.o_proj.weight', [hidden, q]],
    ['mlp.down_proj.weight', [hidden, inner]],
    ['input_layernorm.weight', [hidden]],
    ['post_attention_layernorm.weight', [hidden]],
  ];
  if (family === 'phi3') {
    shapes.push(['self_attn.qkv_proj.weight', [q + 2 * kv, hidden]]);
    shapes.push(['mlp.gate_up_proj.weight', [2 * inner, hidden]]);
    return shapes;
  }
  shapes.push(['mlp.gate_proj.weight', [inner, hidden]], ['mlp.up_proj.weight', [inner, hidden]]);
  for (const [name, rows] of [['q', q] as const, ['k', kv] as const, ['v', kv] as const]) {
    shapes.push([`self_attn.${name}_proj.weight`, [rows, hidden]]);
    if (family === 'qwen2' || config['attention_bias'] === true) {
      shapes.push([`self_attn.${name}_proj.bias`, [rows]]);
    }
  }
  if (family !== 'qwen2' && config['attention_bias'] === true) {
    shapes.push(['self_attn.o_proj.bias', [hidden]]);
  }
  if (family === 'qwen3' || family === 'gemma3_text') {
    shapes.push(['self_attn.q_norm.weight', [headDim]], ['self_attn.k_norm.weight', [headDim]]);
  }
  if (family === 'gemma2' || family === 'gemma3_text') {
    shapes.push(['pre_feedforward_layernorm.weight', [hidden]]);
    shapes.push(['post_feedforward_layernorm.weight', [hidden]]);
  }
  return shapes;
}

function rangeOf(name: string, shape: readonly number[], gemma: boolean): { mean: number; spread: number } {
  if (name.endsWith('.bias')) return { mean: 0, spread: VECTOR_SPREAD };
  if (shape.length === 1) {
    if (!gemma) return { mean: 1, spread: VECTOR_SPREAD };
    const post = name.includes('.post_');
    return { mean: post ? GEMMA_POST_NORM_MEAN : 0, spread: VECTOR_SPREAD };
  }
  const columns = shape[1] ?? 1;
  // A uniform distribution of half width s deviates by s / √3.
  if (name === 'model.embed_tokens.weight') return { mean: 0, spread: EMBEDDING_DEVIATION * Math.sqrt(3) };
  if (name === 'lm_head.weight') return { mean: 0, spread: LOGIT_DEVIATION * Math.sqrt(3 / columns) };
  return { mean: 0, spread: MATRIX_GAIN * Math.sqrt(3 / columns) };
}

/** Fills `out` with the elements of a tensor from index `from` on. */
export function fillRandom(out: Float32Array, tensor: RandomTensor, seed: number, from: number): void {
  const key = mix(fnv1a(tensor.name) ^ Math.imul(seed, STEP));
  const mean = tensor.mean;
  const unit = tensor.spread / 0x800000;
  for (let at = 0; at < out.length; at++) {
    out[at] = mean + ((mix(key + Math.imul(from + at, STEP)) >>> 8) - 0x800000) * unit;
  }
}

/** 32 bits in, 32 well mixed bits out (Chris Wellons' lowbias32). */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}

/** FNV-1a, 32 bits, of a name in ASCII. */
function fnv1a(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash;
}
