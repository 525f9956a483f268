/**
 * Layers of a Llama checkpoint in plain loops, by the definition: norm, rotary positions, grouped queries, a KV cache, SiLU gate.
 * Holds the weights of the layers that it was asked for, and the caches of three requests, as the original does. One step at a time,
 * in turns of the loop: the original computes in a thread beside it, and answers health checks meanwhile.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CheckpointFolder } from './checkpoint.mjs';
import { BpeTokenizer } from './tokenizer.mjs';

/** The original's: the oldest goes when a further request comes. */
const CACHES_MAX = 3;
const TURN_MS = 10;
const MATRICES = {
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  o: 'self_attn.o_proj',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
  attentionNorm: 'input_layernorm',
  ffnNorm: 'post_attention_layernorm',
};

export class LlamaEngine {
  #folder;
  #tokenizer;
  #layers = new Map();
  #ends = new Map();
  #caches = new Map();
  #line = Promise.resolve();
  #turnBegan = 0;

  constructor(folder) {
    this.#folder = new CheckpointFolder(folder);
    this.#tokenizer = new BpeTokenizer(folder);
    const { config } = this.#folder;
    this.layers = config.num_hidden_layers;
    this.eos = config.eos_token_id;
    this.hidden = config.hidden_size;
    this.heads = config.num_attention_heads;
    this.kvHeads = config.num_key_value_heads;
    this.headDim = config.head_dim ?? config.hidden_size / config.num_attention_heads;
    this.epsilon = config.rms_norm_eps;
    this.theta = config.rope_theta;
    this.isTied = config.tie_word_embeddings === true;
  }

  /** A conversation as this family of test models has it; the original asks the template of the tokenizer. */
  prompt(messages) {
    const turns = messages.map(({ role, content }) => `<|${role}|>${content}<|end|>`);
    return `<|begin|>${turns.join('')}<|assistant|>`;
  }

  encode(prompt) {
    return this.#tokenizer.encode(prompt);
  }

  decode(tokens) {
    return this.#tokenizer.decode(tokens);
  }

  /** Tokens enter at layer 0, [1, sequence, hidden] at any other; logits of the last position leave the last one. */
  infer(shard, tensor, requestId) {
    const step = this.#line.then(() => this.#infer(shard, tensor, requestId));
    this.#line = step.catch(() => undefined);
    return step;
  }

  async #infer(shard, tensor, requestId) {
    let rows = shard.start_layer === 0 ? this.#embed(tensor.values) : this.#rows(tensor);
    const cache = this.#cache(requestId, shard);
    const position = cache.length;
    for (let layer = shard.start_layer; layer <= shard.end_layer; layer++) {
      cache.layers[layer] ??= { k: [], v: [] };
      rows = await this.#layer(this.#weights(layer), cache.layers[layer], rows, position);
    }
    cache.length += rows.length;
    if (shard.end_layer < shard.n_layers - 1) {
      const values = rows.flatMap((row) => [...row]);
      return { shape: [1, rows.length, this.hidden], dtype: 'float32', values };
    }
    const head = this.#end(this.isTied ? 'model.embed_tokens.weight' : 'lm_head.weight');
    const logits = multiply(head, this.#norm(rows.at(-1), this.#end('model.norm.weight')));
    return { shape: [1, 1, logits.length], dtype: 'float32', values: [...logits] };
  }

  /** The original's default temperature is 0: the highest. */
  sample({ values }) {
    let best = 0;
    for (let token = 1; token < values.length; token++) if (values[token] > values[best]) best = token;
    return best;
  }

  #cache(requestId, { start_layer, end_layer }) {
    const known = this.#caches.get(requestId);
    if (known?.start_layer === start_layer && known.end_layer === end_layer) return known;
    const cache = { start_layer, end_layer, length: 0, layers: {} };
    if (known === undefined && this.#caches.size >= CACHES_MAX)
      this.#caches.delete(this.#caches.keys().next().value);
    this.#caches.set(requestId, cache);
    return cache;
  }

  #embed(tokens) {
    const table = this.#end('model.embed_tokens.weight');
    return tokens.map((token) => table.slice(token * this.hidden, (token + 1) * this.hidden));
  }

  #rows({ values }) {
    const count = values.length / this.hidden;
    return Array.from({ length: count }, (_, row) =>
      Float32Array.from(values.slice(row * this.hidden, (row + 1) * this.hidden)),
    );
  }

  async #layer(weights, cache, rows, position) {
    const normed = rows.map((row) => this.#norm(row, weights.attentionNorm));
    for (const [at, row] of normed.entries()) {
      await this.#turn();
      cache.k.push(this.#rotated(multiply(weights.k, row), this.kvHeads, position + at));
      cache.v.push(multiply(weights.v, row));
    }
    const out = [];
    for (const [at, row] of rows.entries()) {
      await this.#turn();
      const q = this.#rotated(multiply(weights.q, normed[at]), this.heads, position + at);
      const mixed = add(row, multiply(weights.o, this.#attend(q, cache, position + at)));
      const inner = this.#norm(mixed, weights.ffnNorm);
      const up = multiply(weights.up, inner);
      const gated = multiply(weights.gate, inner).map((x, i) => (x / (1 + Math.exp(-x))) * up[i]);
      out.push(add(mixed, multiply(weights.down, gated)));
    }
    return out;
  }

  async #turn() {
    if (performance.now() - this.#turnBegan < TURN_MS) return;
    await nextTurn();
    this.#turnBegan = performance.now();
  }

  /** One position over everything up to it. */
  #attend(q, { k, v }, position) {
    const { headDim, heads, kvHeads } = this;
    const out = new Float32Array(heads * headDim);
    for (let head = 0; head < heads; head++) {
      const from = Math.floor((head * kvHeads) / heads) * headDim;
      const scores = [];
      for (let at = 0; at <= position; at++) {
        let score = 0;
        for (let i = 0; i < headDim; i++) score += q[head * headDim + i] * k[at][from + i];
        scores.push(score / Math.sqrt(headDim));
      }
      const highest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - highest));
      const sum = weights.reduce((total, weight) => total + weight, 0);
      for (let i = 0; i < headDim; i++) {
        let mean = 0;
        for (let at = 0; at <= position; at++) mean += weights[at] * v[at][from + i];
        out[head * headDim + i] = mean / sum;
      }
    }
    return out;
  }

  /** Pairs are the halves of a head. */
  #rotated(x, heads, position) {
    const half = this.headDim / 2;
    const out = new Float32Array(x.length);
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const angle = position * this.theta ** (-i / half);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        const at = head * this.headDim + i;
        out[at] = x[at] * cos - x[at + half] * sin;
        out[at + half] = x[at] * sin + x[at + half] * cos;
      }
    }
    return out;
  }

  #norm(x, weight) {
    let squares = 0;
    for (const value of x) squares += value * value;
    const scale = 1 / Math.sqrt(squares / x.length + this.epsilon);
    return x.map((value, i) => value * scale * weight[i]);
  }

  #weights(layer) {
    if (!this.#layers.has(layer)) {
      const read = ([name, tensor]) => [name, this.#folder.tensor(`model.layers.${layer}.${tensor}.weight`)];
      this.#layers.set(layer, Object.fromEntries(Object.entries(MATRICES).map(read)));
    }
    return this.#layers.get(layer);
  }

  #end(name) {
    if (!this.#ends.has(name)) this.#ends.set(name, this.#folder.tensor(name));
    return this.#ends.get(name);
  }
}

/** A matrix of rows as long as x; sums in float64. */
function multiply(matrix, x) {
  const out = new Float32Array(matrix.length / x.length);
  for (let row = 0, at = 0; row < out.length; row++) {
    let sum = 0;
    for (let i = 0; i < x.length; i++, at++) sum += matrix[at] * x[i];
    out[row] = sum;
  }
  return out;
}

function add(a, b) {
  return a.map((value, i) => value + b[i]);
}
