/** The numbers that every family's config has. Names and defaults are those of transformers. */
import { ExoError, LIMITS, printable } from '../../../shared/index.js';
import type { Fields } from '../fields.js';

/** Sizes of a decoder. */
export interface Sizes {
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly intermediate: number;
  readonly vocab: number;
  readonly layers: number;
  /** `max_position_embeddings`. */
  readonly positions: number;
  readonly normEpsilon: number;
  /** The head is the embedding. */
  readonly isTied: boolean;
}

/** What a family takes where its config is silent. */
export interface SizeDefaults {
  readonly kvHeads?: number;
  readonly headDim?: number;
  readonly positions: number;
  readonly normEpsilon?: number;
  readonly isTied?: boolean;
}

const HEADS_MAX = { max: LIMITS.attentionHeadsMax };

/** Throws `checkpoint-invalid` when a number is missing, out of range, or does not fit with another. */
export function readSizes(fields: Fields, defaults: SizeDefaults): Sizes {
  const hidden = fields.size('hidden_size');
  const heads = fields.size('num_attention_heads', undefined, HEADS_MAX);
  // Null means one for each head; absence means the family's default.
  const kvDefault = fields.isNull('num_key_value_heads') ? heads : (defaults.kvHeads ?? heads);
  const kvHeads = fields.size('num_key_value_heads', kvDefault, HEADS_MAX);
  if (heads % kvHeads !== 0) {
    throw fields.fault('num_key_value_heads', `is ${kvHeads}, which does not divide the ${heads} heads`);
  }
  return {
    hidden,
    heads,
    kvHeads,
    headDim: headDimOf(fields, defaults, hidden, heads),
    intermediate: fields.size('intermediate_size'),
    vocab: fields.size('vocab_size'),
    layers: fields.size('num_hidden_layers', undefined, { max: LIMITS.modelLayersMax }),
    positions: fields.size('max_position_embeddings', defaults.positions),
    normEpsilon: fields.positive('rms_norm_eps', defaults.normEpsilon ?? 1e-6),
    isTied: fields.boolean('tie_word_embeddings', defaults.isTied ?? false),
  };
}

function headDimOf(fields: Fields, defaults: SizeDefaults, hidden: number, heads: number): number {
  const given = fields.optionalSize('head_dim', HEADS_MAX) ?? defaults.headDim;
  if (given !== undefined) return given;
  if (hidden % heads !== 0) {
    throw fields.fault('hidden_size', `is ${hidden}, which ${heads} heads cannot share`);
  }
  return hidden / heads;
}

/** Throws `model-unsupported` unless the field is absent or one of `known`. */
export function requireKnown(fields: Fields, name: string, known: readonly unknown[]): void {
  const value = fields.has(name) ? fields.raw(name) : undefined;
  if (value === undefined || known.includes(value)) return;
  throw new ExoError(
    'model-unsupported',
    `${fields.place}: ${name} is ${printable(JSON.stringify(value), 60)}; this version computes only ${known.join(' or ')}`,
  );
}
