/**
 * Gemma 2 and the text part of Gemma 3: four norms a layer, scaled embeddings, a scale of the scores that the config
 * names, and layers that see a window between layers that see all. Gemma 2 caps scores and logits; Gemma 3 has norms
 * over each head, and rotary frequencies of their own for the layers with a window.
 */
import { ExoError } from '../../../shared/index.js';
import type { Architecture } from '../architecture.js';
import type { Fields } from '../fields.js';
import { type Rope, readRope } from '../rope.js';
import { decoder } from './decoder.js';
import { type FamilyInput, ropeFields, ropeOf } from './family.js';
import { windowedLayers } from './layer-types.js';
import { readSizes, requireKnown, type Sizes } from './sizes.js';

/** Gemma 2. */
export function gemma2({ fields, wantedPositions }: FamilyInput): Architecture {
  const sizes = sizesOf(fields, 8_192);
  // The first layer has a window, the second has none, and so on.
  const isWindowed = windowedLayers(fields, sizes.layers, (layer) => layer % 2 === 0);
  return decoder(sizes, {
    family: 'gemma2',
    ropes: [ropeOf(sizes, { fields, wantedPositions })],
    windowOf: windowsOf(fields, isWindowed),
    ...commonTraits(fields),
    attentionSoftcap: capOf(fields, 'attn_logit_softcapping', 50),
    logitSoftcap: capOf(fields, 'final_logit_softcapping', 30),
  });
}

/** Gemma 3, text only. */
export function gemma3({ fields, wantedPositions }: FamilyInput): Architecture {
  const sizes = sizesOf(fields, 131_072);
  // Transformers read the cap of scores and do not apply it; no checkpoint has one.
  if (fields.has('attn_logit_softcapping')) {
    throw new ExoError(
      'model-unsupported',
      `${fields.place}: attn_logit_softcapping has no known meaning in Gemma 3`,
    );
  }
  const pattern = fields.size('sliding_window_pattern', 6);
  const isWindowed = windowedLayers(fields, sizes.layers, (layer) => (layer + 1) % pattern !== 0);
  return decoder(sizes, {
    family: 'gemma3',
    ropes: gemma3Ropes(fields, sizes, wantedPositions),
    ropeOf: (layer) => (isWindowed(layer) ? 1 : 0),
    windowOf: windowsOf(fields, isWindowed),
    hasHeadNorms: true,
    ...commonTraits(fields),
    logitSoftcap: fields.optionalPositive('final_logit_softcapping'),
  });
}

function sizesOf(fields: Fields, positions: number): Sizes {
  requireKnown(fields, 'hidden_activation', ['gelu_pytorch_tanh']);
  requireKnown(fields, 'use_bidirectional_attention', [false]);
  return readSizes(fields, { positions, kvHeads: 4, headDim: 256, isTied: true });
}

function commonTraits(fields: Fields) {
  return {
    isGemma: true,
    attentionScale: fields.positive('query_pre_attn_scalar', 256) ** -0.5,
    biases: fields.boolean('attention_bias', false) ? 'qkvo' : 'none',
  } as const;
}

function windowsOf(fields: Fields, isWindowed: (layer: number) => boolean) {
  const window = fields.isNull('sliding_window') ? undefined : fields.size('sliding_window', 4_096);
  return (layer: number): number | undefined => {
    if (!isWindowed(layer)) return undefined;
    if (window !== undefined) return window;
    throw fields.fault('sliding_window', 'is null, and some layers have a window');
  };
}

/** Null switches a cap off; silence means the family's. */
function capOf(fields: Fields, name: string, fallback: number): number | undefined {
  return fields.isNull(name) ? undefined : fields.positive(name, fallback);
}

/** The first for layers that see all, the second for those with a window. A scaling concerns the first only. */
function gemma3Ropes(fields: Fields, sizes: Sizes, wantedPositions: number | undefined): readonly Rope[] {
  const both = fields.fields('rope_parameters');
  const global = fields.has('rope_scaling') ? ropeFields(fields) : both?.fields('full_attention');
  const context = { headDim: sizes.headDim, positions: sizes.positions, wantedPositions };
  for (const place of [fields, global, both?.fields('sliding_attention')]) {
    if (place !== undefined) requireKnown(place, 'partial_rotary_factor', [1]);
  }
  return [
    readRope(global, { ...context, base: fields.positive('rope_theta', 1_000_000) }),
    readRope(both?.fields('sliding_attention'), {
      ...context,
      base: fields.positive('rope_local_base_freq', 10_000),
    }),
  ];
}
