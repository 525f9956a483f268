/** The engines by the name that `--inference-engine` gives them. */
import { ExoError, printable } from '../../shared/index.js';
import type { InferenceEngine } from '../engine.js';
import { DummyEngine } from './dummy.js';
import { type GgmlComponents, GgmlEngine, type GgmlOptions } from './ggml/index.js';

/** Engines of this version. */
export const ENGINE_NAMES = ['dummy', 'ggml'] as const;

/** An engine of this version. */
export type EngineName = (typeof ENGINE_NAMES)[number];

/** Engines of the original that are not here, and what they are. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  mlx: 'runs Apple’s MLX',
  tinygrad: 'runs tinygrad, a Python library',
};

/** What an engine of real models needs; an engine that needs nothing is made without. */
export interface EngineMaking {
  readonly options?: GgmlOptions;
  readonly components: GgmlComponents;
}

/**
 * Makes the engine of that name; `ggml` only where it is said how. Throws `option-unsupported` (known to the original
 * only) or `option-invalid`.
 */
export function createEngine(name: string, making?: EngineMaking): InferenceEngine {
  if (name === 'dummy') return new DummyEngine();
  if (name === 'ggml' && making !== undefined) return new GgmlEngine(making.options ?? {}, making.components);
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
