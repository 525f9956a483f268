/** What the sections of this bench share. */
import type { Ggml } from '../../src/inference/engines/ggml/library/index.js';
import type { Row } from '../table.js';
import type { BenchShape } from './model.js';

/** One run. */
export interface Bench {
  /** Of the model. */
  readonly directory: string;
  readonly shape: BenchShape;
  /** Quantises for the neighbour; computes nothing that is measured. */
  readonly ggml: Ggml;
  readonly threads: number;
  readonly rounds: number;
  /** Tokens of a prompt. */
  readonly prompt: number;
  /** Tokens that are decoded in a round. */
  readonly decode: number;
}

/** A pool that spins after a step, or a process that starts, must not be in the next measurement. */
export const SETTLE_MS = 250;

/** A figure that stands for itself. `max` in the same unit. */
export function under(name: string, unit: string, ours: number, max: number): Row {
  return {
    name,
    unit,
    ours,
    ceiling: max,
    against: 'the bound',
    ratio: ours / max,
    goal: `≤ ${max} ${unit}`,
    met: ours <= max,
  };
}
