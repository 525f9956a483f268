/**
 * What a node needs for real models. It brings in the room of models with its tokenizers and templates, sixty files that no other start
 * should read: `loadRealModels` of `index.ts` loads it for those that compute them, and for nobody else.
 */
import type { InferenceEngine } from '../engine.js';
import { type GgmlComponents, GgmlEngine, type GgmlOptions } from '../engines/ggml/index.js';

export { Downloads } from './downloads.js';
export { StoredModels, type StoredModelsComponents } from './stored-models.js';

/** `--inference-engine ggml`. Its process starts with it. */
export function createGgmlEngine(options: GgmlOptions, components: GgmlComponents): InferenceEngine {
  return new GgmlEngine(options, components);
}
