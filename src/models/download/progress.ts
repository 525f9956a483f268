/**
 * How far a download is, for people and for the original's JSON: never above 100 %, never backwards, also where a damaged file is
 * fetched again or a server sends more than was asked for. Pure but for the clock it is given.
 */
import { type Clock, LIMITS } from '../../shared/index.js';
import type { LayerRange } from './plan.js';

/** What a file or a download is doing. */
export type ProgressStatus = 'not_started' | 'in_progress' | 'complete';

/** One file. */
export interface FileProgress {
  readonly path: string;
  /** Also what was there before. */
  readonly downloadedBytes: number;
  readonly downloadedBytesThisSession: number;
  /** Of what is needed of it. */
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  /** Null where it cannot be told. */
  readonly etaSeconds: number | null;
  readonly status: ProgressStatus;
  /** Wall clock, milliseconds; null before it began. */
  readonly startedAtMs: number | null;
  /** Another process fetches it, and this one waits. */
  readonly isWaiting: boolean;
}

/** A whole download. */
export interface DownloadProgress {
  readonly repository: string;
  readonly revision: string;
  readonly shard: LayerRange | null;
  readonly completedFiles: number;
  readonly totalFiles: number;
  readonly downloadedBytes: number;
  readonly downloadedBytesThisSession: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly etaSeconds: number | null;
  readonly files: readonly FileProgress[];
  readonly status: ProgressStatus;
  /** Configuration and tokenizer are coming; of the weights, which are counted whole, it is not known yet what is needed. */
  readonly isSmall: boolean;
}

/** Speed is of the last seconds. */
const WINDOW_MS = 5_000;

interface FileState {
  readonly path: string;
  totalBytes: number;
  presentBytes: number;
  sessionBytes: number;
  shown: number;
  startedAtMs: number | null;
  startedMs: number;
  isComplete: boolean;
  isWaiting: boolean;
}

/** Keeps count and reports, at most every `downloadProgressMs`. */
export class ProgressMeter {
  readonly #what: { readonly repository: string; readonly revision: string };
  #shard: LayerRange | null = null;
  readonly #clock: Clock;
  readonly #report: (progress: DownloadProgress) => void;
  readonly #files = new Map<string, FileState>();
  /** Session bytes at moments within the window. */
  #samples: Array<{ readonly atMs: number; readonly bytes: number }> = [];
  #sessionBytes = 0;
  #shownShare = 0;
  #reportedMs = Number.NEGATIVE_INFINITY;
  #status: ProgressStatus = 'not_started';
  #isSmall = false;
  /** Files of which more may be there than their records say: until they have been opened a figure could be too low. */
  readonly #unopened = new Set<string>();

  constructor(
    what: { readonly repository: string; readonly revision: string },
    clock: Clock,
    report: (progress: DownloadProgress) => void,
  ) {
    this.#what = what;
    this.#clock = clock;
    this.#report = report;
  }

  /** The small files are about to come: told of only when bytes come, because most times they are there. */
  beginSmall(): void {
    this.#isSmall = true;
    this.#samples = [{ atMs: this.#clock.now(), bytes: this.#sessionBytes }];
  }

  /** They are there; what is needed of the weights is being found out. */
  endSmall(): void {
    this.#isSmall = false;
  }

  /** Everything is planned. */
  begin(shard: LayerRange | undefined): void {
    this.#shard = shard ?? null;
    this.#status = 'in_progress';
    this.#samples = [{ atMs: this.#clock.now(), bytes: this.#sessionBytes }];
    this.#tell(true);
  }

  /** A file, how much of it is needed and how much of that is there. Again with other figures when they change. */
  set(path: string, totalBytes: number, presentBytes: number): void {
    const file = this.#files.get(path);
    if (file !== undefined) {
      Object.assign(file, { totalBytes, presentBytes });
      return;
    }
    this.#files.set(path, {
      path,
      totalBytes,
      presentBytes,
      sessionBytes: 0,
      shown: 0,
      startedAtMs: null,
      startedMs: 0,
      isComplete: false,
      isWaiting: false,
    });
  }

  /** There is something of the file, and it has not been looked at yet: nothing is told until it has. */
  hold(path: string): void {
    this.#unopened.add(path);
  }

  /** It has been. */
  opened(path: string): void {
    if (!this.#unopened.delete(path) || this.#unopened.size > 0) return;
    this.#tell(this.#status === 'in_progress');
  }

  /** A file is not needed. */
  drop(path: string): void {
    this.#files.delete(path);
    this.#unopened.delete(path);
  }

  /** Bytes came and are on disk. */
  add(path: string, bytes: number): void {
    const file = this.#files.get(path);
    if (file === undefined) return;
    if (file.startedAtMs === null) {
      file.startedAtMs = this.#clock.wall();
      file.startedMs = this.#clock.now();
    }
    file.isWaiting = false;
    file.presentBytes += bytes;
    file.sessionBytes += bytes;
    this.#sessionBytes += bytes;
    this.#tell(false);
  }

  waiting(path: string, isWaiting: boolean): void {
    const file = this.#files.get(path);
    if (file === undefined || file.isWaiting === isWaiting) return;
    file.isWaiting = isWaiting;
    // What another process fetches is looked at when that is over.
    if (isWaiting) this.#unopened.delete(path);
    this.#tell(true);
  }

  complete(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined || file.isComplete) return;
    Object.assign(file, { isComplete: true, isWaiting: false, presentBytes: file.totalBytes });
    this.#tell(this.#status === 'in_progress');
  }

  /** All of it is there. */
  end(): void {
    this.#status = 'complete';
    this.#tell(true);
  }

  get snapshot(): DownloadProgress {
    const files = [...this.#files.values()].map((file) => this.#fileProgress(file));
    const totalBytes = sumOf(files, (file) => file.totalBytes);
    const isComplete = this.#status === 'complete';
    const real = totalBytes === 0 ? 0 : sumOf(files, (file) => file.downloadedBytes) / totalBytes;
    this.#shownShare = isComplete ? 1 : Math.max(this.#shownShare, Math.min(1, real));
    const downloadedBytes = Math.min(totalBytes, Math.ceil(this.#shownShare * totalBytes));
    const bytesPerSecond = isComplete ? 0 : this.#speed();
    return {
      ...this.#what,
      shard: this.#shard,
      completedFiles: files.filter(({ status }) => status === 'complete').length,
      totalFiles: files.length,
      downloadedBytes,
      downloadedBytesThisSession: this.#sessionBytes,
      totalBytes,
      bytesPerSecond,
      etaSeconds: etaSeconds(totalBytes - downloadedBytes, bytesPerSecond),
      files,
      status: this.#isSmall ? 'in_progress' : this.#status,
      isSmall: this.#isSmall,
    };
  }

  #fileProgress(file: FileState): FileProgress {
    file.shown = file.isComplete
      ? file.totalBytes
      : Math.min(file.totalBytes, Math.max(file.shown, file.presentBytes));
    const elapsedMs = this.#clock.now() - file.startedMs;
    const isRunning = file.startedAtMs !== null && !file.isComplete && elapsedMs > 0;
    const bytesPerSecond = isRunning ? Math.round((file.sessionBytes * 1000) / elapsedMs) : 0;
    return {
      path: file.path,
      downloadedBytes: file.shown,
      downloadedBytesThisSession: file.sessionBytes,
      totalBytes: file.totalBytes,
      bytesPerSecond,
      etaSeconds: etaSeconds(file.totalBytes - file.shown, bytesPerSecond),
      status: file.isComplete ? 'complete' : file.startedAtMs === null ? 'not_started' : 'in_progress',
      startedAtMs: file.startedAtMs,
      isWaiting: file.isWaiting,
    };
  }

  #speed(): number {
    const nowMs = this.#clock.now();
    const first = this.#samples.find(({ atMs }) => nowMs - atMs <= WINDOW_MS) ?? this.#samples.at(-1);
    if (first === undefined || nowMs <= first.atMs) return 0;
    return Math.round(((this.#sessionBytes - first.bytes) * 1000) / (nowMs - first.atMs));
  }

  #tell(isNews: boolean): void {
    const nowMs = this.#clock.now();
    if (!isNews && nowMs - this.#reportedMs < LIMITS.downloadProgressMs) return;
    const hasBegun = this.#status !== 'not_started' || (this.#isSmall && this.#sessionBytes > 0);
    if (!hasBegun || (this.#unopened.size > 0 && this.#status !== 'complete')) return;
    this.#reportedMs = nowMs;
    const last = this.#samples.at(-1);
    if (last === undefined || nowMs - last.atMs >= LIMITS.downloadProgressMs) {
      this.#samples.push({ atMs: nowMs, bytes: this.#sessionBytes });
      this.#samples = this.#samples.filter(({ atMs }) => nowMs - atMs <= WINDOW_MS * 2);
    }
    this.#report(this.snapshot);
  }
}

/** A report in the original's words (`RepoProgressEvent`), for its status messages and its API. */
export function repoProgressEvent(progress: DownloadProgress, modelId: string): object {
  const { repository, revision, shard } = progress;
  return {
    shard: {
      model_id: modelId,
      start_layer: shard?.startLayer ?? 0,
      end_layer: shard?.endLayer ?? 0,
      n_layers: shard?.layers ?? 0,
    },
    repo_id: repository,
    repo_revision: revision,
    completed_files: progress.completedFiles,
    total_files: progress.totalFiles,
    downloaded_bytes: progress.downloadedBytes,
    downloaded_bytes_this_session: progress.downloadedBytesThisSession,
    total_bytes: progress.totalBytes,
    overall_speed: progress.bytesPerSecond,
    overall_eta: progress.etaSeconds ?? 0,
    file_progress: Object.fromEntries(
      progress.files.map((file) => [
        file.path,
        {
          repo_id: repository,
          repo_revision: revision,
          file_path: file.path,
          downloaded: file.downloadedBytes,
          downloaded_this_session: file.downloadedBytesThisSession,
          total: file.totalBytes,
          speed: file.bytesPerSecond,
          eta: file.etaSeconds ?? 0,
          status: file.status,
          start_time: (file.startedAtMs ?? 0) / 1000,
        },
      ]),
    ),
    status: progress.status,
  };
}

function etaSeconds(leftBytes: number, bytesPerSecond: number): number | null {
  if (leftBytes <= 0) return 0;
  return bytesPerSecond > 0 ? Math.ceil(leftBytes / bytesPerSecond) : null;
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
