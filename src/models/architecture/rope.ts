/**
 * The rotary positions of a config, in the old spelling (`rope_theta`, `rope_scaling`) and the new (`rope_parameters`),
 * as Hugging Face's transformers compute them (modeling_rope_utils.py). A scaling becomes one divisor for each frequency.
 *
 * Papers: YaRN https://arxiv.org/abs/2309.00071, LongRoPE https://arxiv.org/abs/2402.13753. Pure.
 */
import { ExoError, printable } from '../../shared/index.js';
import type { RopeScheme } from './architecture.js';
import type { Fields } from './fields.js';

/** What a rotary scheme depends on besides its own fields. */
export interface RopeContext {
  readonly headDim: number;
  readonly base: number;
  /** Part of a head that is rotated. @default 1 */
  readonly partial?: number;
  /** `max_position_embeddings`. */
  readonly positions: number;
  /** Positions before the context was stretched, where the config says so outside of the scheme. */
  readonly originalPositions?: number | undefined;
  /** Positions that the caller wants; only longrope chooses by it. */
  readonly wantedPositions?: number | undefined;
}

/** A scheme, and how far it carries. */
export interface Rope {
  readonly scheme: RopeScheme;
  readonly contextLength: number;
}

type Scaling = (fields: Fields, context: RopeContext, plain: Plain) => Stretched;

interface Plain {
  readonly dims: number;
  readonly base: number;
  /** base^(2i/dims) for each pair: positions in one radian. */
  readonly periods: readonly number[];
}

interface Stretched {
  readonly factors?: readonly number[];
  readonly attentionFactor?: number;
  readonly contextLength?: number;
}

const SCALINGS: Readonly<Record<string, Scaling>> = {
  default: () => ({}),
  linear: (fields, _, { periods }) => {
    const factor = fields.positive('factor');
    return { factors: periods.map(() => factor) };
  },
  llama3,
  yarn,
  longrope,
  // Its name in the first Phi-3 configs.
  su: longrope,
};

/**
 * The scheme that `fields` describe; without fields the plain one. Throws `model-unsupported` for a type that is not known,
 * `checkpoint-invalid` for values that make no scheme.
 */
export function readRope(fields: Fields | undefined, context: RopeContext): Rope {
  const base = fields?.positive('rope_theta', context.base) ?? context.base;
  const partial = fields?.positive('partial_rotary_factor', context.partial ?? 1) ?? context.partial ?? 1;
  const dims = Math.trunc(context.headDim * partial);
  if (dims < 2 || dims % 2 !== 0 || dims > context.headDim) {
    throw new ExoError(
      'model-unsupported',
      `the model rotates ${dims} of ${context.headDim} elements of a head; this version computes even numbers up to the whole head`,
    );
  }
  const type = fields?.text('rope_type') ?? fields?.text('type') ?? 'default';
  const scaling = Object.hasOwn(SCALINGS, type) ? SCALINGS[type] : undefined;
  if (scaling === undefined || fields?.has('mrope_section') === true) {
    const name = scaling === undefined ? printable(type, 40) : 'mrope';
    throw new ExoError(
      'model-unsupported',
      `the model has rotary positions of the type "${name}"; this version computes ${Object.keys(SCALINGS).join(', ')}`,
    );
  }
  const periods = Array.from({ length: dims / 2 }, (_, pair) => base ** ((2 * pair) / dims));
  const stretched = fields === undefined ? {} : scaling(fields, context, { dims, base, periods });
  const { factors, attentionFactor = 1, contextLength = context.positions } = stretched;
  if (![attentionFactor, ...(factors ?? [])].every((factor) => Number.isFinite(factor) && factor > 0)) {
    throw new ExoError('checkpoint-invalid', `${fields?.place}: these values make no rotary frequencies`);
  }
  return {
    scheme: { dims, base, ...(factors === undefined ? {} : { factors }), attentionFactor },
    contextLength,
  };
}

/** Where the context was stretched from: the config's own field counts more than the scheme's. */
function originalOf(fields: Fields, { originalPositions, positions }: RopeContext): number {
  return originalPositions ?? fields.optionalSize('original_max_position_embeddings') ?? positions;
}

/** Long waves are stretched, short ones are not, those between in part. */
function llama3(fields: Fields, context: RopeContext, { periods }: Plain): Stretched {
  const original = originalOf(fields, context);
  const factor = fields.positive('factor');
  const low = fields.positive('low_freq_factor');
  const high = fields.positive('high_freq_factor');
  return {
    factors: periods.map((period) => {
      const wave = 2 * Math.PI * period;
      if (wave < original / high) return 1;
      if (wave > original / low) return factor;
      const smooth = (original / wave - low) / (high - low);
      return 1 / ((1 - smooth) / factor + smooth);
    }),
  };
}

function yarn(fields: Fields, context: RopeContext, { dims, base, periods }: Plain): Stretched {
  const original = originalOf(fields, context);
  const factor = fields.optionalPositive('factor') ?? context.positions / original;
  /** The pair whose wave turns so many times within the original context. */
  const pairOf = (turns: number) =>
    (dims * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const fast = pairOf(unlessZero(fields, 'beta_fast') ?? 32);
  const slow = pairOf(unlessZero(fields, 'beta_slow') ?? 1);
  const isTruncated = fields.boolean('truncate', true);
  const from = Math.max(isTruncated ? Math.floor(fast) : fast, 0);
  const to = Math.min(isTruncated ? Math.ceil(slow) : slow, dims - 1);
  const width = from === to ? 0.001 : to - from;
  return {
    factors: periods.map((_, pair) => {
      const ramp = Math.min(Math.max((pair - from) / width, 0), 1);
      return 1 / (ramp / factor + (1 - ramp));
    }),
    attentionFactor: yarnAttention(fields, factor),
    contextLength: Math.max(context.positions, Math.round(factor * original)),
  };
}

function yarnAttention(fields: Fields, factor: number): number {
  const given = fields.optionalPositive('attention_factor');
  if (given !== undefined) return given;
  const mscale = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const [over, under] = [unlessZero(fields, 'mscale'), unlessZero(fields, 'mscale_all_dim')];
  return over === undefined || under === undefined ? mscale(1) : mscale(over) / mscale(under);
}

/** 0 counts as absent. */
function unlessZero(fields: Fields, name: string): number | undefined {
  return fields.isZero(name) ? undefined : fields.optionalPositive(name);
}

/**
 * Two sets of divisors, one for contexts up to the original length, one for longer. Transformers choose by the length of the
 * sequence so far, and so change the positions of what is in the cache already; here one choice holds for a
 * checkpoint: short, with the original length as its context, unless the caller wants more.
 */
function longrope(fields: Fields, context: RopeContext, { periods }: Plain): Stretched {
  const original = originalOf(fields, context);
  const isLong = context.wantedPositions !== undefined && context.wantedPositions > original;
  // Both are read: a config with one damaged list is refused at once, not when the other length is asked for.
  const [long, short] = ['long_factor', 'short_factor'].map((name) => fields.positives(name, periods.length));
  const factor = fields.optionalPositive('factor') ?? context.positions / original;
  return {
    factors: (isLong ? long : short)!,
    attentionFactor:
      fields.optionalPositive('attention_factor') ??
      (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))),
    contextLength: isLong ? context.positions : Math.min(original, context.positions),
  };
}
