/**
 * The downloads of a node: one for each model at a time, whoever asks for it; who asks for the same layers shares it, who asks for
 * others waits for its turn. What is fetched ahead gives way to what somebody waits for. A download goes on when those that
 * waited for it have left. Called by `inference`, which knows what is needed when.
 */
import {
  type Clock,
  ExoError,
  LIMITS,
  type Logger,
  printable,
  type Random,
  toExoError,
  unlessAborted,
} from '../../shared/index.js';
import type { Hub } from '../hub/hub.js';
import type { Sharing } from '../peers/sharing.js';
import type { ModelStore } from '../store/store.js';
import { downloadModel } from './download.js';
import { FetchRates } from './fetch-rates.js';
import type { LayerRange } from './plan.js';
import type { DownloadProgress } from './progress.js';

/** Settings of all downloads of a node. */
export interface FetchesOptions {
  /** `--max-parallel-downloads`. */
  readonly parallelMax: number;
  /** `--download-quick-check`. */
  readonly quick: boolean;
  /** For tests. */
  readonly partBytes?: number;
}

/** What the downloads work with. */
export interface FetchesComponents {
  readonly store: Pick<ModelStore, 'targetOf'>;
  /** Undefined: offline. */
  readonly hub: Hub | undefined;
  /** The other nodes, once there is a mesh. */
  sharing(): Sharing | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Throws where the model is of a kind that cannot be computed. */
  checkConfig(config: unknown): void;
  onProgress(progress: DownloadProgress): void;
  /** Files came. Awaited before those that wait are told. */
  onDone(repository: string): void | Promise<void>;
}

/** What of a model: configuration and tokenizer, all of it, or a shard. */
export type Wanted = 'small' | 'all' | LayerRange;

interface Job {
  readonly repository: string;
  readonly wanted: Wanted;
  /** Nobody waits for it. */
  isAhead: boolean;
  /** It goes on when those that wait for it have left. */
  isKept: boolean;
  /** Who waits for it and ends it by leaving, if nobody else wants it. */
  holders: number;
  readonly stop: AbortController;
  /** The folder; rejects with what went wrong. */
  readonly done: Promise<string>;
  readonly settle: { resolve(directory: string): void; reject(error: unknown): void };
  isRunning: boolean;
  /** Why it was ended, also where it was giving way already. */
  dropped: ExoError | undefined;
}

/** One node's. */
export class ModelFetches {
  readonly #options: FetchesOptions;
  readonly #parts: FetchesComponents;
  /** In the order of asking. */
  #jobs: Job[] = [];
  readonly #running = new Set<Promise<void>>();
  #stopped: ExoError | undefined;
  /** How fast files came. */
  readonly rates: FetchRates;

  constructor(options: FetchesOptions, components: FetchesComponents) {
    this.#options = options;
    this.#parts = components;
    this.rates = new FetchRates(components);
  }

  /** Whether a hub may be asked. */
  get isOnline(): boolean {
    return this.#parts.hub !== undefined;
  }

  /** Which hub is asked; undefined: none. */
  get endpoint(): string | undefined {
    return this.#parts.hub?.endpoint;
  }

  /**
   * Resolves with the model's folder when what is wanted is there. Rejects as `downloadModel`, with `overloaded`, or with the signal's
   * reason; then it goes on for others. `isAhead`: nobody waits, and whoever waits for another download goes first. `isHeld`: with the
   * signal the download ends, too, unless somebody else wants it.
   */
  async fetch(
    repository: string,
    wanted: Wanted,
    signal: AbortSignal,
    { isAhead = false, isHeld = false }: { readonly isAhead?: boolean; readonly isHeld?: boolean } = {},
  ): Promise<string> {
    signal.throwIfAborted();
    if (this.#stopped !== undefined) throw this.#stopped;
    const same = (job: Job) => job.repository === repository && isSame(job.wanted, wanted);
    let job = this.#jobs.find((each) => same(each) && !each.stop.signal.aborted);
    if (job === undefined) {
      if (this.#jobs.length >= LIMITS.modelFetchesMax) {
        throw new ExoError(
          'overloaded',
          `${this.#jobs.length} downloads run or wait on this node; ask again when some of them have ended (exo status shows them)`,
          { retryable: true },
        );
      }
      job = newJob(repository, wanted, isAhead);
      this.#jobs.push(job);
    }
    if (!isAhead) job.isAhead = false;
    if (isHeld) job.holders += 1;
    else job.isKept = true;
    this.#next();
    try {
      return await unlessAborted(job.done, signal);
    } finally {
      if (isHeld) this.#letGo(job, signal);
    }
  }

  #letGo(job: Job, signal: AbortSignal): void {
    job.holders -= 1;
    if (!signal.aborted || job.holders > 0 || job.isKept) return;
    this.#drop(job, new ExoError('request-cancelled', 'nobody waits for the download any more'));
  }

  /** Ends the downloads of a model; what came stays. Resolves when nothing of it is written any more. */
  async end(repository: string, why = 'the download was ended'): Promise<void> {
    const error = new ExoError('request-cancelled', why);
    const jobs = this.#jobs.filter((job) => job.repository === repository);
    for (const job of jobs) this.#drop(job, error);
    await Promise.allSettled(jobs.map(({ done }) => done));
    await Promise.all(this.#running);
  }

  /** Ends all; none can be begun afterwards. */
  async stop(): Promise<void> {
    this.#stopped ??= new ExoError('request-cancelled', 'the node is stopping');
    for (const job of [...this.#jobs]) this.#drop(job, this.#stopped);
    await Promise.all(this.#running);
  }

  #drop(job: Job, error: ExoError): void {
    job.dropped ??= error;
    job.stop.abort(error);
    if (job.isRunning) return;
    this.#jobs = this.#jobs.filter((each) => each !== job);
    job.settle.reject(error);
  }

  /** Begins what may run now: of each model one, and ahead only while nobody waits for anything. */
  #next(): void {
    const waited = this.#jobs.some(({ isAhead }) => !isAhead);
    for (const job of this.#jobs) {
      if (!job.isRunning || !job.isAhead || !waited) continue;
      // It begins again, with what it has, when nobody waits any more.
      if (!job.stop.signal.aborted) job.stop.abort(GIVES_WAY);
    }
    const ordered = [...this.#jobs].sort((a, b) => Number(a.isAhead) - Number(b.isAhead));
    for (const job of ordered) {
      const isBusy = this.#jobs.some(
        ({ repository, isRunning }) => isRunning && repository === job.repository,
      );
      const isHeld = job.isAhead && (waited || this.#jobs.some(({ isRunning }) => isRunning));
      if (job.isRunning || isBusy || isHeld) continue;
      job.isRunning = true;
      const run = this.#run(job).finally(() => {
        this.#running.delete(run);
        this.#next();
      });
      this.#running.add(run);
    }
  }

  async #run(job: Job): Promise<void> {
    const { log } = this.#parts;
    const { repository, wanted } = job;
    try {
      const directory = await this.#download(job);
      await this.#parts.onDone(repository);
      job.settle.resolve(directory);
    } catch (error) {
      if (job.stop.signal.reason === GIVES_WAY && job.dropped === undefined) {
        this.#jobs = this.#jobs.filter((each) => each !== job);
        this.#again(job);
        return;
      }
      const { code, message } = toExoError(error);
      log.warn('download-failed', {
        model: printable(repository, 200),
        wanted: wordsOf(wanted),
        code,
        message,
      });
      job.settle.reject(job.dropped ?? error);
    }
    this.#jobs = this.#jobs.filter((each) => each !== job);
  }

  /** The same behind all others. Who began to wait for it in the meantime still does. */
  #again(job: Job): void {
    this.#jobs.push({ ...job, stop: new AbortController(), isRunning: false });
  }

  async #download({ repository, wanted, isAhead, stop }: Job): Promise<string> {
    const { store, hub, clock, random, log, checkConfig, onProgress } = this.#parts;
    const { parallelMax, quick, partBytes } = this.#options;
    const directory = await store.targetOf(repository);
    log.info('download-begins', { model: repository, wanted: wordsOf(wanted), directory });
    const { progress } = await downloadModel(
      {
        repository,
        directory,
        parallelMax: isAhead ? 1 : parallelMax,
        quick,
        settled: true,
        ...(partBytes === undefined ? {} : { partBytes }),
        ...(wanted === 'small' ? { smallOnly: true } : {}),
        ...(typeof wanted === 'string' ? {} : { shard: wanted }),
      },
      { hub, sharing: this.#parts.sharing(), rates: this.rates, clock, random, checkConfig, onProgress },
      stop.signal,
    );
    log.info('download-done', {
      model: repository,
      wanted: wordsOf(wanted),
      bytes: progress.totalBytes,
      fetched: progress.downloadedBytesThisSession,
    });
    return directory;
  }
}

const GIVES_WAY = new ExoError('request-cancelled', 'somebody waits for another download');

function newJob(repository: string, wanted: Wanted, isAhead: boolean): Job {
  let settle: Job['settle'] | undefined;
  const done = new Promise<string>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Those that wait hear of it themselves.
  done.catch(() => undefined);
  return {
    repository,
    wanted,
    isAhead,
    isKept: false,
    holders: 0,
    stop: new AbortController(),
    done,
    settle: settle!,
    isRunning: false,
    dropped: undefined,
  };
}

function isSame(a: Wanted, b: Wanted): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.startLayer === b.startLayer && a.endLayer === b.endLayer;
}

function wordsOf(wanted: Wanted): string {
  if (wanted === 'small') return 'configuration and tokenizer';
  return wanted === 'all' ? 'all layers' : `layers ${wanted.startLayer}-${wanted.endLayer}`;
}
