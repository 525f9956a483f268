/** What makes one graph differ from another: which caches take part, how many tokens each brings, and what comes out. */
import type { SequenceCache } from '../cache/sequence-cache.js';
import { CACHE_STEP } from '../cache/sequence-cache.js';

/** The part of one request in a step. */
export interface StepPart {
  readonly cache: SequenceCache;
  /** Tokens that enter. */
  readonly sequence: number;
  /** The last token's logits are wanted (last shard only). */
  readonly wantsLogits: boolean;
}

/** Cached positions that the part's attention looks at: rounded up, so that the graph serves many tokens. */
export function attendedPositions(part: StepPart): number {
  return Math.ceil((part.cache.length + part.sequence) / CACHE_STEP) * CACHE_STEP;
}

/** Equal for steps that the same graph computes. */
export function shapeKey(parts: readonly StepPart[]): string {
  return parts
    .map((part) => {
      const { cache, sequence, wantsLogits } = part;
      return `${cache.generation}:${sequence}:${attendedPositions(part)}:${wantsLogits ? 1 : 0}`;
    })
    .join(' ');
}
