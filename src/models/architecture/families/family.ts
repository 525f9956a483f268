/** What a family's reader gets, and the rotary scheme that most of them have: one for all layers. */
import type { Fields } from '../fields.js';
import { type Rope, readRope } from '../rope.js';
import { requireKnown, type Sizes } from './sizes.js';

/** A config, and what is wanted of the model. */
export interface FamilyInput {
  readonly fields: Fields;
  /** Positions that the caller wants to use; see `readArchitecture`. */
  readonly wantedPositions?: number | undefined;
}

/**
 * The one scheme of a config. `partial` is the part of a head that the family rotates where the scheme does not say;
 * without it the family rotates whole heads only. Throws `model-unsupported` or `checkpoint-invalid`.
 */
export function ropeOf(sizes: Sizes, { fields, wantedPositions }: FamilyInput, partial?: number): Rope {
  const scheme = ropeFields(fields);
  for (const place of [fields, ...(scheme === undefined ? [] : [scheme])]) {
    if (partial === undefined) requireKnown(place, 'partial_rotary_factor', [1]);
  }
  if (scheme !== undefined) {
    requireKnown(scheme, 'full_attention', []);
    requireKnown(scheme, 'sliding_attention', []);
  }
  return readRope(scheme, {
    headDim: sizes.headDim,
    base: fields.positive('rope_theta', 10_000),
    partial: partial ?? 1,
    positions: sizes.positions,
    originalPositions: fields.optionalSize('original_max_position_embeddings'),
    wantedPositions,
  });
}

/** The object that describes the scheme, in its old or its new place. */
export function ropeFields(fields: Fields): Fields | undefined {
  const old = fields.fields('rope_scaling');
  return old !== undefined && old.entries().length > 0 ? old : fields.fields('rope_parameters');
}
