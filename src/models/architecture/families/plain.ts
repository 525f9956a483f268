/** Llama 2 and 3.x and what shares their classes (Yi, SmolLM2, TinyLlama …), Mistral, Qwen 2, 2.5 and 3. */
import type { Architecture } from '../architecture.js';
import { decoder } from './decoder.js';
import { type FamilyInput, ropeOf } from './family.js';
import { windowedLayers } from './layer-types.js';
import { readSizes, requireKnown, type Sizes } from './sizes.js';

const SILU = ['silu', 'swish'];

/** Llama. */
export function llama({ fields, wantedPositions }: FamilyInput): Architecture {
  requireKnown(fields, 'hidden_act', SILU);
  requireKnown(fields, 'mlp_bias', [false]);
  const sizes = readSizes(fields, { positions: 2_048 });
  return decoder(sizes, {
    family: 'llama',
    ropes: [ropeOf(sizes, { fields, wantedPositions })],
    biases: fields.boolean('attention_bias', false) ? 'qkvo' : 'none',
  });
}

/** Mistral: v0.1 sees 4,096 tokens back in every layer, and says so even by silence. */
export function mistral({ fields, wantedPositions }: FamilyInput): Architecture {
  requireKnown(fields, 'hidden_act', SILU);
  const sizes = readSizes(fields, { positions: 131_072, kvHeads: 8 });
  const window = fields.isNull('sliding_window') ? undefined : fields.size('sliding_window', 4_096);
  return decoder(sizes, {
    family: 'mistral',
    ropes: [ropeOf(sizes, { fields, wantedPositions })],
    windowOf: () => window,
  });
}

/** Qwen 2 and 2.5: q, k and v have biases. */
export function qwen2({ fields, wantedPositions }: FamilyInput): Architecture {
  requireKnown(fields, 'hidden_act', SILU);
  const sizes = readSizes(fields, { positions: 32_768, kvHeads: 32 });
  return decoder(sizes, {
    family: 'qwen2',
    ropes: [ropeOf(sizes, { fields, wantedPositions })],
    windowOf: qwenWindows(sizes, { fields }),
    biases: 'qkv',
  });
}

/** Qwen 3: no biases, but norms over each head. */
export function qwen3({ fields, wantedPositions }: FamilyInput): Architecture {
  requireKnown(fields, 'hidden_act', SILU);
  const sizes = readSizes(fields, { positions: 32_768, kvHeads: 32, headDim: 128 });
  return decoder(sizes, {
    family: 'qwen3',
    ropes: [ropeOf(sizes, { fields, wantedPositions })],
    windowOf: qwenWindows(sizes, { fields }),
    biases: fields.boolean('attention_bias', false) ? 'qkvo' : 'none',
    hasHeadNorms: true,
  });
}

/** Windows are switched on by a field of their own, and begin at a layer. */
function qwenWindows(sizes: Sizes, { fields }: FamilyInput): (layer: number) => number | undefined {
  const isOn = fields.boolean('use_sliding_window', false) && !fields.isNull('sliding_window');
  const window = isOn ? fields.size('sliding_window', 4_096) : undefined;
  const from = fields.size('max_window_layers', 28, { min: 0 });
  const isWindowed = windowedLayers(fields, sizes.layers, (layer) => isOn && layer >= from);
  return (layer) => {
    if (!isWindowed(layer)) return undefined;
    if (window !== undefined) return window;
    throw fields.fault('layer_types', 'has sliding_attention, and use_sliding_window is off');
  };
}
