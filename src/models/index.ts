/**
 * Checkpoints on disk: what they are and where they come from. Reads configs, headers, tokenizers and templates, fetches
 * files; computes nothing. The engine takes architectures and places of tensors from here, the ring tokenizers.
 */
export type {
  Architecture,
  Family,
  LayerSpec,
  LayerWeights,
  RopeScheme,
  WeightRef,
} from './architecture.js';
export type { TemplateMessage } from './chat-template.js';
export { CHECKPOINT_FILE, Checkpoint } from './checkpoint.js';
export { CHECKPOINT_INDEX, parseCheckpointIndex } from './checkpoint-index.js';
export { type ArchitectureOptions, readArchitecture } from './config.js';
export {
  parseSafetensorsHeader,
  readSafetensors,
  SAFETENSORS_LENGTH_BYTES,
  type SafetensorsEntry,
  type SafetensorsFile,
  type SafetensorsType,
  safetensorsHeaderBytes,
} from './safetensors.js';
export type { MlxQuantization, TensorEntry, WeightType } from './tensor-entry.js';
export { type ModelTokenizer, openTokenizer, type TokenizerComponents } from './tokenizer.js';
export { type WantedTensor, wantedTensors } from './weight-shapes.js';
