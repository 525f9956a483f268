/**
 * Phi-3 and Phi-4 (mini and 14B): projections stored fused, part of a head rotated, two sets of rotary frequencies
 * (`longrope`). Not Phi-3-small, Phi-MoE or Phi-4-multimodal, which have classes of their own.
 */
import type { Architecture } from '../architecture.js';
import { decoder } from './decoder.js';
import { type FamilyInput, ropeOf } from './family.js';
import { readSizes, requireKnown } from './sizes.js';

/** Phi-3. */
export function phi3({ fields, wantedPositions }: FamilyInput): Architecture {
  requireKnown(fields, 'hidden_act', ['silu', 'swish']);
  const sizes = readSizes(fields, { positions: 4_096, normEpsilon: 1e-5 });
  const window = fields.optionalSize('sliding_window');
  const partial = fields.positive('partial_rotary_factor', 1);
  return decoder(sizes, {
    family: 'phi3',
    ropes: [ropeOf(sizes, { fields, wantedPositions }, partial)],
    windowOf: () => window,
    isFused: true,
  });
}
