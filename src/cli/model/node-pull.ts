/**
 * A download by a node that runs in this EXO_HOME: it takes from its peers what they have before it goes to the hub, and its progress
 * is seen on all nodes. Called by `pull.ts`, which fetches by itself where no node does it.
 */
import { type ErrorCode, ExoError, printable, toExoError } from '../../shared/index.js';
import { apiError, open } from '../api-client.js';
import { events } from '../event-stream.js';
import type { CliHost } from '../host.js';
import { type RunningNode, runTarget } from '../target.js';
import type { PulledJson } from './shapes.js';

/** What is asked of it. */
export interface NodePull {
  readonly model: string;
  readonly layers?: readonly [from: number, to: number];
  /** Where this process would fetch it to, and from which hub. */
  readonly directory: string;
  readonly endpoint: string;
}

/** How far it is. */
export interface NodeProgress {
  readonly downloadedBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly etaSeconds: number | null;
  readonly isWaiting: boolean;
}

/** What came of it. */
export interface NodePulled {
  readonly node: string;
  readonly directory: string;
  readonly commit: string | null;
  /** Absent: everything was there. */
  readonly pulled?: PulledJson;
}

interface EventJson {
  readonly progress?: {
    readonly downloaded_bytes: number;
    readonly total_bytes: number;
    readonly bytes_per_s: number;
    readonly eta_s: number | null;
    readonly waiting: boolean;
  };
  readonly done?: {
    readonly directory: string;
    readonly commit: string | null;
    readonly progress: PulledJson | null;
  };
  readonly error?: { readonly code: string; readonly message: string };
}

/** A node says something every 10 s; one that is silent for so long is gone, or hangs. */
const SILENCE_MS = 45_000;

/** This node does not do it, or cannot; this process may: it has its own settings, and its own way to the hub. */
const NOT_BY_NODE: ReadonlySet<ErrorCode> = new Set([
  'api-unreachable',
  'api-refused',
  'connection-closed',
  'http-forbidden',
  'http-invalid',
  'http-not-found',
  'http-unauthorized',
  'http-unsupported',
  'hub-refused',
  'model-absent',
  'option-conflict',
  'overloaded',
]);

/** Fetches it by that node. Undefined where this process has to do it. Rejects with what ended the download, or the signal's reason. */
export async function pullByNode(
  host: CliHost,
  node: RunningNode,
  request: NodePull,
  onProgress: (progress: NodeProgress) => void,
  signal: AbortSignal,
): Promise<NodePulled | undefined> {
  try {
    return await follow(host, node, request, onProgress, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (NOT_BY_NODE.has(toExoError(error).code)) return undefined;
    throw error;
  }
}

async function follow(
  host: CliHost,
  node: RunningNode,
  request: NodePull,
  onProgress: (progress: NodeProgress) => void,
  signal: AbortSignal,
): Promise<NodePulled> {
  const ended = new ExoError(
    'connection-closed',
    `node ${printable(node.id, 60)} ended before the model was here`,
  );
  const silent = new AbortController();
  const watch = () => host.clock.after(SILENCE_MS, () => silent.abort(ended));
  let timer = watch();
  const heard = (): void => {
    timer.cancel();
    timer = watch();
  };
  try {
    const call = { method: 'POST', path: '/v1/download', body: request } as const;
    const response = await open(runTarget(node), call, AbortSignal.any([signal, silent.signal]));
    try {
      for await (const { data } of events(response, heard)) {
        const { progress, done, error } = JSON.parse(data) as EventJson;
        if (error !== undefined) throw apiError(error.code, error.message);
        if (progress !== undefined) onProgress(progressOf(progress));
        if (done === undefined) continue;
        const { directory, commit, progress: pulled } = done;
        return { node: node.id, directory, commit, ...(pulled === null ? {} : { pulled }) };
      }
    } catch (error) {
      throw error instanceof ExoError ? error : ended;
    } finally {
      response.destroy();
    }
    throw ended;
  } finally {
    timer.cancel();
  }
}

function progressOf(progress: NonNullable<EventJson['progress']>): NodeProgress {
  return {
    downloadedBytes: progress.downloaded_bytes,
    totalBytes: progress.total_bytes,
    bytesPerSecond: progress.bytes_per_s,
    etaSeconds: progress.eta_s,
    isWaiting: progress.waiting,
  };
}
