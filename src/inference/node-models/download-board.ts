/**
 * The downloads of all nodes, as this one does and hears of them: for the API, and as statuses for the others, in the original's words
 * (`{"type": "download_progress", "node_id", "progress"}`). What is shown of a download never goes back and never above its
 * total. Pure but for the clock it is given.
 */
import { type DownloadProgress, repoProgressEvent } from '../../models/index.js';
import type { OpaqueStatus } from '../../protocol/index.js';
import { BoundedMap, type Clock, LIMITS, printable } from '../../shared/index.js';

/** One download of one node, in the fields that both ends of a status have: as it was told last. */
export interface NodeDownload {
  readonly nodeId: string;
  /** `org/repo`. */
  readonly repository: string;
  /** Both included; null: the whole model, or not known. */
  readonly layers: readonly [from: number, to: number] | null;
  readonly downloadedBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly etaSeconds: number | null;
  readonly isComplete: boolean;
  /** The report as the original's clients read it. */
  readonly event: object;
}

interface Kept extends NodeDownload {
  readonly heardMs: number;
}

const STATUS_TYPE = 'download_progress';

/** What is known of downloads. */
export class DownloadBoard {
  readonly #clock: Clock;
  readonly #entries = new BoundedMap<string, Kept>(LIMITS.downloadsShownMax);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A report of this node, or of another one. Undefined where it is none that can be used. */
  note(nodeId: string, entry: Omit<NodeDownload, 'nodeId'>): NodeDownload {
    const key = JSON.stringify([nodeId, entry.repository, entry.layers]);
    const before = this.#entries.get(key);
    const shown = steady(before, { ...entry, nodeId });
    this.#entries.set(key, { ...shown, heardMs: this.#clock.now() });
    return shown;
  }

  /** A download of a node is over without success. */
  forget(nodeId: string, repository: string): void {
    for (const [key, entry] of this.#entries) {
      if (entry.nodeId === nodeId && entry.repository === repository) this.#entries.delete(key);
    }
  }

  /** Those under way, in the order in which they were heard of last. */
  get running(): readonly NodeDownload[] {
    const since = this.#clock.now() - LIMITS.downloadHeardMs;
    return [...this.#entries.values()].filter(({ isComplete, heardMs }) => !isComplete && heardMs >= since);
  }
}

/** A report of this node's own. */
export function ownEntry(progress: DownloadProgress, modelId: string): Omit<NodeDownload, 'nodeId'> {
  const { repository, shard, downloadedBytes, totalBytes, bytesPerSecond, etaSeconds, status } = progress;
  return {
    repository,
    layers: shard === null ? null : [shard.startLayer, shard.endLayer],
    downloadedBytes,
    totalBytes,
    bytesPerSecond,
    etaSeconds,
    isComplete: status === 'complete',
    event: repoProgressEvent(progress, modelId),
  };
}

/** A report for other nodes: of many files only those that are under way, and not more than fit. */
export function downloadStatus(nodeId: string, progress: DownloadProgress, modelId: string): OpaqueStatus {
  const files = [...progress.files]
    .sort((a, b) => rank(a.status) - rank(b.status))
    .slice(0, LIMITS.downloadStatusFiles);
  const event = repoProgressEvent({ ...progress, files }, modelId);
  return {
    kind: 'opaque-status',
    requestId: '',
    status: JSON.stringify({ type: STATUS_TYPE, node_id: nodeId, progress: event }),
  };
}

/** What a status says of a download; undefined where it is of another kind, or makes no sense. */
export function readDownloadStatus({ status }: OpaqueStatus): NodeDownload | undefined {
  if (!status.includes(STATUS_TYPE)) return undefined;
  const value = objectOf(jsonOf(status));
  const nodeId = value['node_id'];
  const progress = objectOf(value['progress']);
  const repository = progress['repo_id'];
  const total = figure(progress['total_bytes']);
  const downloaded = figure(progress['downloaded_bytes']);
  if (value['type'] !== STATUS_TYPE || typeof nodeId !== 'string' || typeof repository !== 'string') {
    return undefined;
  }
  if (
    nodeId === '' ||
    nodeId.length > LIMITS.nodeIdCharsMax ||
    total === undefined ||
    downloaded === undefined
  ) {
    return undefined;
  }
  const shard = objectOf(progress['shard']);
  const [from, to, layers] = [shard['start_layer'], shard['end_layer'], shard['n_layers']].map(figure);
  const isShard = from !== undefined && to !== undefined && layers !== undefined && layers > 0;
  const name = printable(repository, 200);
  const bytesPerSecond = figure(progress['overall_speed']) ?? 0;
  const etaSeconds = figure(progress['overall_eta']) ?? null;
  const isComplete = progress['status'] === 'complete';
  return {
    nodeId,
    repository: name,
    layers: isShard ? [from, to] : null,
    downloadedBytes: Math.min(downloaded, total),
    totalBytes: total,
    bytesPerSecond,
    etaSeconds,
    isComplete,
    event: {
      shard: {
        model_id: printable(String(shard['model_id'] ?? name), 200),
        start_layer: from ?? 0,
        end_layer: to ?? 0,
        n_layers: layers ?? 0,
      },
      repo_id: name,
      repo_revision: printable(String(progress['repo_revision'] ?? 'main'), 100),
      completed_files: figure(progress['completed_files']) ?? 0,
      total_files: figure(progress['total_files']) ?? 0,
      downloaded_bytes: Math.min(downloaded, total),
      downloaded_bytes_this_session: figure(progress['downloaded_bytes_this_session']) ?? 0,
      total_bytes: total,
      overall_speed: bytesPerSecond,
      overall_eta: etaSeconds ?? 0,
      file_progress: {},
      status: isComplete ? 'complete' : 'in_progress',
    },
  };
}

/** Not less of it than was shown before, also where the total has changed meanwhile. */
function steady(before: NodeDownload | undefined, now: NodeDownload): NodeDownload {
  const total = now.totalBytes;
  const share =
    before === undefined || before.isComplete || before.totalBytes === 0
      ? 0
      : before.downloadedBytes / before.totalBytes;
  const downloadedBytes = Math.min(total, Math.max(now.downloadedBytes, Math.ceil(share * total)));
  if (downloadedBytes === now.downloadedBytes) return now;
  return { ...now, downloadedBytes, event: { ...now.event, downloaded_bytes: downloadedBytes } };
}

function rank(status: string): number {
  return status === 'in_progress' ? 0 : status === 'complete' ? 2 : 1;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function figure(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}
