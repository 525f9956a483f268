/**
 * How far log probabilities of the same model may be apart when other machines, or other numbers of them, compute it. With equal
 * machines a split changes nothing, to the bit: activations travel in the type they are computed in. The bounds are for unlike ones.
 */

/** By type of the weights, in natural logarithm. */
export const BOUNDS = {
  /** Sums in another order. */
  f32: 1e-4,
  /** Activations are rounded to 11 bits before each product. */
  f16: 0.01,
  /** To 8 bits. */
  bf16: 0.05,
  /** To 8 bits with a scale for each 32. */
  q8_0: 0.05,
  /** The same activations; the products are larger beside the differences of logits. */
  q4_0: 0.1,
  q4_k: 0.1,
} as const;

/** A type of weights. */
export type BoundedType = keyof typeof BOUNDS;

/** Names of the types. */
export const BOUNDED_TYPES = Object.keys(BOUNDS) as readonly BoundedType[];
