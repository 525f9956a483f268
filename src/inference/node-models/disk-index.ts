/**
 * Which models are on the disk of this node, as of the last look: a look at all folders of the store when somebody asks for it, a
 * look at one model when files of it came. A look may take long (hundreds of models, a slow disk): a start does not wait for it, and
 * who asks for one model meanwhile gets it by itself. Fetches nothing; called by `node-models.ts`.
 */
import { type ModelStore, resolveReference } from '../../models/index.js';
import {
  BoundedMap,
  type Clock,
  ExoError,
  LIMITS,
  type Logger,
  sleep,
  toExoError,
  unlessAborted,
  withDeadline,
} from '../../shared/index.js';
import { DEMO_MODEL } from '../engine-models.js';
import { addStored, demoModel, type FoundModel, nameOf } from './found-model.js';

/** What is looked at. */
export interface DiskIndexComponents {
  readonly store: Pick<ModelStore, 'each' | 'find'>;
  /** Folder of the demo model; absent: there is none. */
  readonly demoDirectory?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The models of one node by name. */
export class DiskIndex {
  readonly #parts: DiskIndexComponents;
  #known: ReadonlyMap<string, FoundModel> = new Map();
  #look: Promise<void> | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Folders that were named by their paths. */
  readonly #folders = new BoundedMap<string, FoundModel>(LIMITS.modelNamesKept);
  /** Models that were looked at by themselves since the last look at all began. */
  readonly #noted = new BoundedMap<string, FoundModel | undefined>(LIMITS.modelNamesKept);
  /** Models that are being looked for by themselves. */
  readonly #sought = new Map<string, Promise<boolean>>();
  readonly #stop = new AbortController();

  constructor(components: DiskIndexComponents) {
    this.#parts = components;
  }

  all(): readonly FoundModel[] {
    return [...this.#known.values()];
  }

  has(name: string): boolean {
    return this.#known.has(name);
  }

  get(name: string): FoundModel | undefined {
    return this.#known.get(name);
  }

  /** Begins the first look, and waits for it as long as a start may take. Never rejects. */
  async start(): Promise<void> {
    const ended = new AbortController();
    const patience = sleep(this.#parts.clock, LIMITS.modelsStartMs, ended.signal).catch(() => undefined);
    await Promise.race([this.refresh(), patience]);
    ended.abort();
  }

  /** Looks end. Idempotent. */
  stop(): void {
    this.#stop.abort(new ExoError('request-cancelled', 'the node is stopping'));
  }

  /** Looks at the disk; several who ask at once share a look. What cannot be read is logged and left out. Never rejects. */
  refresh(): Promise<void> {
    this.#look ??= this.#lookAtAll().finally(() => {
      this.#look = undefined;
      this.#lookedAtMs = this.#parts.clock.now();
    });
    return this.#look;
  }

  /**
   * Looks for a model that is not known. A stranger may ask for one made-up name after the other: a look at all of them is taken once
   * in a while, and those who ask for one name are served in the order of asking. Rejects with the signal's reason.
   */
  async seek(name: string, signal: AbortSignal): Promise<void> {
    const wasLookedFor = this.#look !== undefined && (await unlessAborted(this.#seekAlone(name), signal));
    const isFresh = this.#parts.clock.now() - this.#lookedAtMs < LIMITS.modelsLookEveryMs;
    // In every place: a look at all of them knows no better.
    if (this.has(name) || wasLookedFor || (isFresh && this.#look === undefined)) return;
    await unlessAborted(this.refresh(), signal);
  }

  /** Looks at one model again: files of it came or went. Does not wait for a look at all of them. Never rejects. */
  async filesCame(repository: string): Promise<void> {
    await this.#lookFor(repository);
  }

  /** A folder that somebody named. */
  addFolder(model: FoundModel): void {
    this.#folders.set(model.id, model);
    this.#show(this.#known);
  }

  /** The files of a model are not there any more: another place may have it still. */
  async gone(name: string): Promise<void> {
    const repository = this.get(name)?.repository;
    this.#folders.delete(name);
    if (repository === undefined) this.#note(name, undefined);
    else await this.filesCame(repository);
  }

  /** True: all places were looked at. Never rejects. */
  async #lookFor(repository: string): Promise<boolean> {
    const name = nameOf(repository);
    try {
      await this.#within(async (signal) => {
        const found = new Map<string, FoundModel>();
        for (const model of await this.#parts.store.find(repository, signal)) addStored(found, model);
        this.#note(name, found.get(name));
      });
      return true;
    } catch (error) {
      this.#unreadable(error);
      return false;
    }
  }

  /** True: it was looked for in all places. */
  #seekAlone(name: string): Promise<boolean> {
    const repository = repositoryNamed(name);
    const sought = this.#sought.get(name);
    if (sought !== undefined) return sought;
    if (repository === undefined || this.#sought.size >= LIMITS.generationsMax) return Promise.resolve(false);
    const found = this.#lookFor(repository).finally(() => this.#sought.delete(name));
    this.#sought.set(name, found);
    return found;
  }

  /** What is known of one model now; a look at all that began before does not know better. Undefined: it is gone. */
  #note(name: string, model: FoundModel | undefined): void {
    if (model === undefined && !this.#known.has(name)) return;
    this.#noted.set(name, model);
    this.#show(this.#known);
  }

  #show(known: ReadonlyMap<string, FoundModel>): void {
    const shown = new Map([...known, ...this.#folders]);
    for (const [name, model] of this.#noted) {
      if (model === undefined) shown.delete(name);
      else shown.set(name, model);
    }
    this.#known = shown;
  }

  /** Ends with what it has after a while; what was known and not looked at by then stays. */
  async #lookAtAll(): Promise<void> {
    const { store, demoDirectory, log } = this.#parts;
    const isFirst = this.#known.size === 0;
    const known = new Map<string, FoundModel>();
    this.#noted.clear();
    try {
      if (demoDirectory !== undefined) {
        known.set(DEMO_MODEL, await this.#within((signal) => demoModel(demoDirectory, signal)));
      }
    } catch (error) {
      log.warn('demo-model-unreadable', { error: toExoError(error) });
    }
    try {
      await this.#within(async (signal) => {
        for await (const model of store.each(signal)) {
          // Who waited for it has gone on without it.
          if (signal.aborted) return;
          addStored(known, model);
          if (isFirst) this.#show(known);
        }
      });
    } catch (error) {
      for (const [name, model] of this.#known) if (!known.has(name)) known.set(name, model);
      this.#unreadable(error);
    }
    this.#show(known);
  }

  /** A disk that does not answer is waited for `LIMITS.modelsLookMs`. */
  #within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = { clock: this.#parts.clock, timeoutMs: LIMITS.modelsLookMs, owner: this.#stop.signal };
    return withDeadline({ ...deadline, tooLate }, work);
  }

  #unreadable(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#parts.log.warn('models-unreadable', { error: toExoError(error) });
  }
}

function tooLate(): ExoError {
  return new ExoError(
    'request-timeout',
    `the folders of models were not looked through within ${LIMITS.modelsLookMs / 1000} s; a model that is not listed is found when it is asked for`,
    { retryable: true },
  );
}

/** Undefined: it is no name of a repository. */
function repositoryNamed(name: string): string | undefined {
  try {
    const reference = resolveReference(name);
    return reference.kind === 'repository' ? reference.repository : undefined;
  } catch {
    return undefined;
  }
}
