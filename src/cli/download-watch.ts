/** Says while a node is asked which files of models it and others fetch meanwhile: a first question may wait for them. */
import { printable } from '../shared/index.js';
import { callApi } from './api-client.js';
import type { CliHost } from './host.js';
import { progressText, type ShownProgress } from './model/format.js';
import type { ApiTarget } from './target.js';

/** A download under way, as a node in this process tells of it. */
export interface OwnDownload {
  readonly nodeId: string;
  readonly repository: string;
  readonly downloadedBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly etaSeconds: number | null;
}

/** The original's report of a download, as far as it is read here. */
interface ReportJson {
  readonly repo_id: string;
  readonly downloaded_bytes: number;
  readonly total_bytes: number;
  readonly overall_speed: number;
  readonly overall_eta: number;
}

const LOOK_MS = 1_000;

/** Looks every second; call what it returns to end it. */
export function watchDownloads(host: CliHost, target: ApiTarget, update: (text: string) => void): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  let isLooking = false;
  const look = async (): Promise<void> => {
    const call = { method: 'GET', path: '/v1/download/progress', signal } as const;
    const reports = await callApi<Record<string, ReportJson>>(host.clock, target, call);
    const [first] = Object.entries(reports);
    if (first === undefined || signal.aborted) return;
    const [node, report] = first;
    const shown = {
      downloadedBytes: report.downloaded_bytes,
      totalBytes: report.total_bytes,
      bytesPerSecond: report.overall_speed,
      etaSeconds: report.overall_eta > 0 ? report.overall_eta : null,
      isWaiting: false,
    };
    update(lineOf(node, report.repo_id, shown));
  };
  const timer = host.clock.every(LOOK_MS, () => {
    if (isLooking) return;
    isLooking = true;
    // Who waits hears from the answer what is wrong.
    look()
      .catch(() => undefined)
      .finally(() => {
        isLooking = false;
      });
  });
  return () => {
    timer.cancel();
    ended.abort();
  };
}

/** The same for a node in this process, which needs no API for it. */
export function watchOwnDownloads(
  host: CliHost,
  downloads: { readonly running: readonly OwnDownload[] },
  update: (text: string) => void,
): () => void {
  const timer = host.clock.every(LOOK_MS, () => {
    const [first] = downloads.running;
    if (first !== undefined) update(lineOf(first.nodeId, first.repository, { ...first, isWaiting: false }));
  });
  return () => timer.cancel();
}

function lineOf(node: string, repository: string, shown: ShownProgress): string {
  return `${printable(node, 60)} fetches ${progressText(repository, shown)}`;
}
