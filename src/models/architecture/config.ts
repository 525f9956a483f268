/**
 * Reads a `config.json`. What is not understood to the last field that matters is refused by name, before any weight is
 * fetched: a model that is computed a little wrong answers fluently and wrong. Pure.
 */
import { ExoError, printable } from '../../shared/index.js';
import type { Architecture } from './architecture.js';
import type { FamilyInput } from './families/family.js';
import { gemma2, gemma3 } from './families/gemma.js';
import { phi3 } from './families/phi3.js';
import { llama, mistral, qwen2, qwen3 } from './families/plain.js';
import { Fields } from './fields.js';
import { readMlxQuantization } from './mlx.js';

/** What is wanted of the model. */
export interface ArchitectureOptions {
  /**
   * Positions to be used, prompt and answer together. Only `longrope` models (Phi-3 and Phi-4-mini) choose by it: their
   * frequencies up to the original length differ from those beyond. @default the original length
   */
  readonly contextLength?: number;
}

/** By the class that a config names in `architectures`. */
const CLASSES: Readonly<Record<string, (input: FamilyInput) => Architecture>> = {
  LlamaForCausalLM: llama,
  // How the first conversions spelled it.
  LLaMAForCausalLM: llama,
  MistralForCausalLM: mistral,
  Qwen2ForCausalLM: qwen2,
  Qwen3ForCausalLM: qwen3,
  Phi3ForCausalLM: phi3,
  Gemma2ForCausalLM: gemma2,
  Gemma3ForCausalLM: gemma3,
};

/** Where a config names no class. */
const MODEL_TYPES: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  phi3: 'Phi3ForCausalLM',
  gemma2: 'Gemma2ForCausalLM',
  gemma3_text: 'Gemma3ForCausalLM',
};

/** How many experts a model has; none and one are no mixture. */
const EXPERT_FIELDS = ['num_local_experts', 'num_experts', 'n_routed_experts'];
/** Parts that this version does not compute. */
const OTHER_PARTS = ['vision_config', 'audio_config', 'speech_config'];

/** The model of a parsed config.json. Throws `model-unsupported` (names the architecture) or `checkpoint-invalid`. */
export function readArchitecture(config: unknown, options: ArchitectureOptions = {}): Architecture {
  const fields = new Fields(config, 'config.json');
  const name = classOf(fields);
  const read = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  if (read === undefined) throw unsupported(name, reasonOf(name));
  for (const field of EXPERT_FIELDS) {
    if (fields.size(field, 0, { min: 0 }) > 1)
      throw unsupported(name, `it is a mixture of experts (${field})`);
  }
  for (const field of OTHER_PARTS) {
    if (fields.has(field)) throw unsupported(name, `it has a part that is not for text (${field})`);
  }
  refuseQuantized(name, fields);
  return read({ fields, wantedPositions: options.contextLength });
}

function classOf(fields: Fields): string {
  const names = fields.texts('architectures') ?? [];
  // All of them: a config that names two classes may mean either.
  const other = names.find((name) => !Object.hasOwn(CLASSES, name));
  const type = fields.text('model_type');
  const name = other ?? names[0] ?? (Object.hasOwn(MODEL_TYPES, type ?? '') ? MODEL_TYPES[type!] : type);
  if (name === undefined) throw fields.fault('architectures', 'is missing');
  return name;
}

/** Weights in a form of another program; `quantization_config` beside mlx's `quantization` is the same once more. */
function refuseQuantized(name: string, fields: Fields): void {
  const isMlx = readMlxQuantization(fields) !== undefined;
  const other = isMlx ? undefined : fields.fields('quantization_config');
  if (other === undefined) return;
  const method = printable(other.text('quant_method') ?? 'unknown', 40);
  throw unsupported(
    name,
    `its weights are quantised by ${method}; take the original or an mlx-community one`,
  );
}

function reasonOf(name: string): string {
  if (/moe|mixtral/i.test(name)) return 'mixtures of experts are not computed';
  if (/ConditionalGeneration|Vision|VL|Llava|Multimodal|4MM/.test(name)) {
    return 'models with parts for images or sound are not computed, not even their text';
  }
  if (name !== '' && !/ForCausalLM$/.test(name)) return 'it is no model that writes text';
  return `computed are ${Object.keys(MODEL_TYPES).join(', ')}`;
}

function unsupported(name: string, why: string): ExoError {
  return new ExoError(
    'model-unsupported',
    `The architecture "${printable(name, 60)}" is not supported: ${why}. Take another model`,
  );
}
