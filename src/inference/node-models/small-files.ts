/**
 * The small files of models (configuration, tokenizer) that somebody needs and that are not all here. One that is not on disk is asked
 * for once in a while, not by each request: the hub may be away, and a model that has what is needed is used without the rest.
 * Fetches through the downloads of the node; called by `node-models.ts`.
 */
import type { ModelFetches } from '../../models/index.js';
import {
  BoundedMap,
  type Clock,
  type ExoError,
  LIMITS,
  type Logger,
  toExoError,
  unlessAborted,
  waitAtMost,
} from '../../shared/index.js';
import type { FoundModel } from './found-model.js';

/** What they are fetched with. */
export interface SmallFilesComponents {
  readonly fetches: Pick<ModelFetches, 'fetch'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A look for the small files of one model. */
interface Attempt {
  readonly done: Promise<void>;
  /** `clock.now()`; undefined: it runs. */
  endedMs?: number;
  error?: ExoError;
}

/** Those of one node. */
export class SmallFiles {
  readonly #parts: SmallFilesComponents;
  /** The last one of each model of which some file is here, by repository. */
  readonly #attempts = new BoundedMap<string, Attempt>(LIMITS.modelNamesKept);

  constructor(components: SmallFilesComponents) {
    this.#parts = components;
  }

  /** Those of a model of which nothing is here. Rejects as `ModelFetches.fetch`. */
  async fetch(repository: string, signal: AbortSignal): Promise<void> {
    await this.#parts.fetches.fetch(repository, 'small', signal);
  }

  /**
   * Those of a model of which some are here, at most every `LIMITS.modelsLookEveryMs`. Waits until they are here; of a model that can be
   * used without them only the first time, and where weights are here no longer than that time. Rejects with the signal's reason or,
   * where the model cannot be used without them, as `ModelFetches.fetch`, also for the attempt that was the last.
   */
  async complete(repository: string, known: FoundModel, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const last = this.#attempts.get(repository);
    const isUsable = known.isBegun === 'usable';
    const hasWeights = (known.storedLayers?.length ?? 0) > 0;
    if (last !== undefined && isUsable && hasWeights) {
      if (isOver(last, clock.now())) this.#begin(repository);
      return;
    }
    const attempt = last === undefined || isOver(last, clock.now()) ? this.#begin(repository) : last;
    if (isUsable && hasWeights) await this.#patiently(attempt, signal);
    else await unlessAborted(attempt.done, signal);
    if (attempt.error !== undefined && !isUsable) throw attempt.error;
  }

  #begin(repository: string): Attempt {
    const { fetches, clock, log } = this.#parts;
    // Who asked first may leave; it ends with the downloads of the node.
    const never = new AbortController().signal;
    const attempt: Attempt = {
      done: fetches
        .fetch(repository, 'small', never)
        .catch((cause: unknown) => {
          attempt.error = toExoError(cause);
          log.info('small-files-missing', { model: repository, error: attempt.error });
        })
        .then(() => {
          attempt.endedMs = clock.now();
        }),
    };
    this.#attempts.set(repository, attempt);
    return attempt;
  }

  async #patiently({ done }: Attempt, signal: AbortSignal): Promise<void> {
    await waitAtMost(this.#parts.clock, LIMITS.modelsLookEveryMs, done, signal);
  }
}

function isOver({ endedMs }: Attempt, nowMs: number): boolean {
  return endedMs !== undefined && nowMs - endedMs >= LIMITS.modelsLookEveryMs;
}
