/**
 * Learns of models that others ask this node to compute, within the time that they wait. A request is known here only when that is
 * done; what comes for it meanwhile waits behind, in its order, and what comes later need not ask again. Called by `ring.ts`.
 */
import type { Shard } from '../../protocol/index.js';
import { type ExoError, LIMITS, toExoError } from '../../shared/index.js';
import { learnWithin } from '../engine-models.js';
import type { RingComponents } from './ring-options.js';

/** For all requests of one node. */
export class ModelLearning {
  readonly #parts: Pick<RingComponents, 'engine' | 'port' | 'clock'>;
  /** Tensors that wait, by request. */
  readonly #waiting = new Map<string, number>();

  constructor(components: Pick<RingComponents, 'engine' | 'port' | 'clock'>) {
    this.#parts = components;
  }

  /** Throws `model-unknown`, `model-fetching` or the signal's reason. */
  ofPrompt({ modelId: id }: Shard, from: string | null, signal: AbortSignal): Promise<void> {
    const { engine, clock } = this.#parts;
    const question = { id, mayFetch: this.mayFetchFor(from), patienceMs: LIMITS.modelLearnMs };
    return learnWithin(engine.models, clock, question, signal);
  }

  /** As `ofPrompt`, but gives what that throws. */
  async ofTensor(
    requestId: string,
    shard: Shard,
    from: string | null,
    signal: AbortSignal,
  ): Promise<ExoError | undefined> {
    this.#waiting.set(requestId, (this.#waiting.get(requestId) ?? 0) + 1);
    try {
      await this.ofPrompt(shard, from, signal);
      return undefined;
    } catch (error) {
      return toExoError(error);
    } finally {
      const left = this.#waiting.get(requestId)! - 1;
      if (left === 0) this.#waiting.delete(requestId);
      else this.#waiting.set(requestId, left);
    }
  }

  /** Whether a tensor of the request waits, which those after it must not overtake. */
  holds(requestId: string): boolean {
    return this.#waiting.has(requestId);
  }

  /** Files are fetched for nodes that are trusted. */
  mayFetchFor(from: string | null): boolean {
    return from !== null && this.#parts.port.isTrusted(from);
  }
}
