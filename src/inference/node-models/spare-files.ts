/**
 * `--spare`: the files of a neighbour's layers, fetched ahead while nobody waits for anything, so that they are here when the
 * neighbour is lost. Called by `node-models.ts`.
 */
import type { LayerRange, ModelFetches, ModelStore } from '../../models/index.js';
import { type Clock, ExoError, LIMITS, type Logger, toExoError, withDeadline } from '../../shared/index.js';

/** What they are fetched with. */
export interface SpareFilesComponents {
  readonly store: Pick<ModelStore, 'find'>;
  readonly fetches: Pick<ModelFetches, 'fetch'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The spare files of one node. */
export class SpareFiles {
  readonly #parts: SpareFilesComponents;
  readonly #stop = new AbortController();
  /** Being looked for or fetched, by repository and layers: each answer names its neighbour. */
  readonly #wanted = new Set<string>();

  constructor(components: SpareFilesComponents) {
    this.#parts = components;
  }

  /** Fetches these layers of a model when nothing else is fetched; once, however often it is called meanwhile. Never throws. */
  want(repository: string, layers: LayerRange): void {
    const { log } = this.#parts;
    const key = `${repository} ${layers.startLayer}-${layers.endLayer}`;
    if (this.#wanted.has(key) || this.#wanted.size >= LIMITS.modelFetchesMax || this.#stop.signal.aborted) {
      return;
    }
    this.#wanted.add(key);
    this.#fetch(repository, layers)
      .catch((error: unknown) =>
        log.debug('spare-not-fetched', { model: repository, error: toExoError(error) }),
      )
      .finally(() => this.#wanted.delete(key));
  }

  /** Nothing is waited for any more. Idempotent; what is being fetched ends with the downloads of the node. */
  stop(): void {
    this.#stop.abort(new ExoError('request-cancelled', 'the node is stopping'));
  }

  async #fetch(repository: string, layers: LayerRange): Promise<void> {
    const { store, fetches, clock } = this.#parts;
    const { signal } = this.#stop;
    const deadline = { clock, timeoutMs: LIMITS.modelsLookMs, owner: signal };
    const stored = await withDeadline(deadline, (limited) => store.find(repository, limited));
    if (stored.some(({ survey }) => survey.has(layers))) return;
    await fetches.fetch(repository, layers, signal, { isAhead: true });
  }
}
