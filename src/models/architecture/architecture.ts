/**
 * What a model is made of, in the terms of the graph that computes it: sizes, rotary positions, windows, and where each
 * weight lies in the checkpoint. Read from a `config.json` by `config.ts`; an engine builds the same graph for every
 * family from this alone. Plain data: it crosses to the process that computes.
 */

/** Families whose checkpoints are understood. Phi-4 is `phi3`, Llama 2 and 3.x are `llama`. */
export const FAMILIES = ['llama', 'mistral', 'qwen2', 'qwen3', 'phi3', 'gemma2', 'gemma3'] as const;

/** A family of models. */
export type Family = (typeof FAMILIES)[number];

/** A tensor of the checkpoint by its name, or consecutive rows of one (projections that a family stores fused). */
export interface WeightRef {
  readonly tensor: string;
  /** First row and the one after the last, of the first dimension. Absent: all. */
  readonly rows?: readonly [from: number, to: number];
}

/** Rotary positions in the half-split (NEOX) order: pair i is elements i and i + dims/2. */
export interface RopeScheme {
  /** Elements of a head that are rotated, from the first; even. */
  readonly dims: number;
  readonly base: number;
  /**
   * dims/2 divisors of the frequency base^(-2i/dims); absent: all 1. Every scaling (linear, llama3, YaRN, longrope) is
   * told in these and in `attentionFactor`.
   */
  readonly factors?: readonly number[];
  /** Cosine and sine are multiplied by this (YaRN's mscale). 1 for most. */
  readonly attentionFactor: number;
}

/** Weights of one layer. Matrices are [out, in], vectors [size]. */
export interface LayerWeights {
  readonly attentionNorm: WeightRef;
  readonly q: WeightRef;
  readonly k: WeightRef;
  readonly v: WeightRef;
  readonly qBias?: WeightRef;
  readonly kBias?: WeightRef;
  readonly vBias?: WeightRef;
  /** RMS norm over each head, before the rotation; [headDim]. */
  readonly qNorm?: WeightRef;
  readonly kNorm?: WeightRef;
  readonly o: WeightRef;
  readonly oBias?: WeightRef;
  /** Norm of the attention's output before it is added (Gemma). */
  readonly attentionPostNorm?: WeightRef;
  readonly ffnNorm: WeightRef;
  readonly gate: WeightRef;
  readonly up: WeightRef;
  readonly down: WeightRef;
  /** Norm of the feed-forward's output before it is added (Gemma). */
  readonly ffnPostNorm?: WeightRef;
}

/** One layer. */
export interface LayerSpec {
  readonly weights: LayerWeights;
  /** Which of `Architecture.ropes`. */
  readonly rope: number;
  /** A token sees itself and the `window - 1` before it. Absent: all before it. */
  readonly window?: number;
}

/** A decoder of one of the families. */
export interface Architecture {
  readonly family: Family;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly intermediate: number;
  readonly vocab: number;
  /** Positions that the model was made for: prompt and answer together. */
  readonly contextLength: number;
  readonly normEpsilon: number;
  /** Norms multiply by 1 + weight (Gemma). */
  readonly normPlusOne: boolean;
  readonly activation: 'silu' | 'gelu-tanh';
  /** Embeddings are multiplied by this; 1 for most. */
  readonly embeddingScale: number;
  /** Scores are multiplied by this: headDim^-0.5 for most. */
  readonly attentionScale: number;
  /** Scores become cap × tanh(score / cap). */
  readonly attentionSoftcap?: number;
  /** Logits become cap × tanh(logit / cap). */
  readonly logitSoftcap?: number;
  readonly ropes: readonly RopeScheme[];
  readonly layers: readonly LayerSpec[];
  /** [vocab, hidden]. */
  readonly embedding: WeightRef;
  readonly finalNorm: WeightRef;
  /** [vocab, hidden]; the embedding where they are tied. */
  readonly head: WeightRef;
}
