/** The engines by the name that `--inference-engine` gives them. */
import { ExoError, printable } from '../../shared/index.js';
import type { InferenceEngine } from '../engine.js';
import { DummyEngine } from './dummy.js';

export { DUMMY_MODELS } from './dummy.js';
export type { GgmlComponents, GgmlOptions, ModelFiles } from './ggml/index.js';
export { canComputeGgml, ggmlDevices } from './ggml/library/platform-package.js';
export { QUANTISATIONS, type Quantisation } from './ggml/weights/quantisation.js';

/** The engine of real models, whose process starts with it; loaded by those that compute them. */
export const loadGgml = () => import('./ggml/index.js');

/** Engines of this version. */
export const ENGINE_NAMES = ['dummy', 'ggml'] as const;

/** An engine of this version. */
export type EngineName = (typeof ENGINE_NAMES)[number];

/** Engines of the original that are not here, and what they are. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  mlx: 'runs Apple’s MLX',
  tinygrad: 'runs tinygrad, a Python library',
};

/**
 * Makes the dummy engine; `ggml` needs models and a process of its own (`loadGgml`). Throws `option-unsupported` (known to
 * the original only) or `option-invalid`.
 */
export function createEngine(name: string): InferenceEngine {
  if (name === 'dummy') return new DummyEngine();
  const here = ENGINE_NAMES.join(', ');
  if (Object.hasOwn(ELSEWHERE, name)) {
    throw new ExoError(
      'option-unsupported',
      `--inference-engine ${name} ${ELSEWHERE[name]}, which this version cannot; it has: ${here}`,
    );
  }
  throw new ExoError(
    'option-invalid',
    `--inference-engine "${printable(name, 40)}" is not an engine; this version has: ${here}`,
  );
}
