/** `--inference-engine ggml`: real checkpoints, computed in a process of its own. */
export { type GgmlComponents, GgmlEngine } from './ggml-engine.js';
export { canComputeGgml } from './library/platform-package.js';
export type { ModelFiles } from './model-reader.js';
export type { GgmlOptions } from './options.js';
export { layerCosts, type StoredForm } from './weights/layer-cost.js';
export { QUANTISATIONS, type Quantisation } from './weights/quantisation.js';
