/**
 * Puts an architecture together from a family's traits. All families here are one graph: norm, attention, add, norm, gated
 * feed-forward, add; and all name their tensors alike.
 */
import type { Architecture, Family, LayerSpec, LayerWeights, WeightRef } from '../architecture.js';
import type { Rope } from '../rope.js';
import type { Sizes } from './sizes.js';

/** What makes a family. */
export interface Traits {
  readonly family: Family;
  /** One for each rotary scheme. */
  readonly ropes: readonly Rope[];
  /** Which of `ropes` a layer uses. @default the first */
  readonly ropeOf?: (layer: number) => number;
  /** How far a layer sees; undefined: all before it. @default all */
  readonly windowOf?: (layer: number) => number | undefined;
  /** Which projections of the attention have a bias. @default none */
  readonly biases?: 'qkv' | 'qkvo' | 'none';
  /** Norms over each head of q and k. @default false */
  readonly hasHeadNorms?: boolean;
  /** q, k and v in one tensor, gate and up in another. @default false */
  readonly isFused?: boolean;
  /** Gemma's: norms after attention and feed-forward too, and they multiply by 1 + weight. @default false */
  readonly isGemma?: boolean;
  /** @default headDim^-0.5 */
  readonly attentionScale?: number;
  readonly attentionSoftcap?: number | undefined;
  readonly logitSoftcap?: number | undefined;
}

const EMBEDDING: WeightRef = { tensor: 'model.embed_tokens.weight' };
const HEAD: WeightRef = { tensor: 'lm_head.weight' };

/** An architecture. */
export function decoder(sizes: Sizes, traits: Traits): Architecture {
  const { attentionSoftcap, logitSoftcap, isGemma = false } = traits;
  const { layers, isTied, positions: _positions, ...numbers } = sizes;
  const contextLength = Math.min(...traits.ropes.map((rope) => rope.contextLength));
  return {
    family: traits.family,
    ...numbers,
    contextLength,
    normPlusOne: isGemma,
    activation: isGemma ? 'gelu-tanh' : 'silu',
    embeddingScale: isGemma ? Math.sqrt(sizes.hidden) : 1,
    attentionScale: traits.attentionScale ?? sizes.headDim ** -0.5,
    ...(attentionSoftcap === undefined ? {} : { attentionSoftcap }),
    ...(logitSoftcap === undefined ? {} : { logitSoftcap }),
    ropes: traits.ropes.map((rope) => rope.scheme),
    layers: Array.from({ length: layers }, (_, layer) => layerOf(layer, sizes, traits, contextLength)),
    embedding: EMBEDDING,
    finalNorm: { tensor: 'model.norm.weight' },
    head: isTied ? EMBEDDING : HEAD,
  };
}

function layerOf(layer: number, sizes: Sizes, traits: Traits, contextLength: number): LayerSpec {
  const window = traits.windowOf?.(layer);
  return {
    weights: weightsOf(layer, sizes, traits),
    rope: traits.ropeOf?.(layer) ?? 0,
    // A window as wide as the context hides nothing.
    ...(window === undefined || window >= contextLength ? {} : { window }),
  };
}

function weightsOf(layer: number, sizes: Sizes, traits: Traits): LayerWeights {
  const weight = (name: string): WeightRef => ({ tensor: `model.layers.${layer}.${name}.weight` });
  const bias = (name: string): WeightRef => ({ tensor: `model.layers.${layer}.${name}.bias` });
  const { biases = 'none' } = traits;
  return {
    attentionNorm: weight('input_layernorm'),
    ...(traits.isFused === true ? fusedRefs(weight, sizes) : separateRefs(weight)),
    ...(biases === 'none'
      ? {}
      : {
          qBias: bias('self_attn.q_proj'),
          kBias: bias('self_attn.k_proj'),
          vBias: bias('self_attn.v_proj'),
        }),
    ...(biases === 'qkvo' ? { oBias: bias('self_attn.o_proj') } : {}),
    ...(traits.hasHeadNorms === true
      ? { qNorm: weight('self_attn.q_norm'), kNorm: weight('self_attn.k_norm') }
      : {}),
    o: weight('self_attn.o_proj'),
    down: weight('mlp.down_proj'),
    ...(traits.isGemma === true
      ? {
          attentionPostNorm: weight('post_attention_layernorm'),
          ffnNorm: weight('pre_feedforward_layernorm'),
          ffnPostNorm: weight('post_feedforward_layernorm'),
        }
      : { ffnNorm: weight('post_attention_layernorm') }),
  };
}

type Projections = Pick<LayerWeights, 'q' | 'k' | 'v' | 'gate' | 'up'>;

function separateRefs(weight: (name: string) => WeightRef): Projections {
  return {
    q: weight('self_attn.q_proj'),
    k: weight('self_attn.k_proj'),
    v: weight('self_attn.v_proj'),
    gate: weight('mlp.gate_proj'),
    up: weight('mlp.up_proj'),
  };
}

function fusedRefs(weight: (name: string) => WeightRef, sizes: Sizes): Projections {
  const q = sizes.heads * sizes.headDim;
  const kv = sizes.kvHeads * sizes.headDim;
  const qkv = weight('self_attn.qkv_proj');
  const gateUp = weight('mlp.gate_up_proj');
  return {
    q: { ...qkv, rows: [0, q] },
    k: { ...qkv, rows: [q, q + kv] },
    v: { ...qkv, rows: [q + kv, q + 2 * kv] },
    gate: { ...gateUp, rows: [0, sizes.intermediate] },
    up: { ...gateUp, rows: [sizes.intermediate, 2 * sizes.intermediate] },
  };
}
