/** What tests of fetching share: a hub that ends with the test, a download from it, and nodes in memory that give each other files. */
import path from 'node:path';
import {
  type DownloadComponents,
  type Downloaded,
  type DownloadProgress,
  type DownloadRequest,
  downloadModel,
  Hub,
} from '../../src/models/index.js';
import { Claims } from '../../src/models/peers/claims.js';
import { FileServer } from '../../src/models/peers/file-server.js';
import type { PeerFiles } from '../../src/models/peers/peer-files.js';
import { Sharing } from '../../src/models/peers/sharing.js';
import { type Clock, ExoError, systemClock, systemRandom } from '../../src/shared/index.js';
import { MockHub } from './mock-hub.js';
import type { Cleanup } from './processes.js';

/** The model that most tests fetch, and the name of its weights where they are one file. */
export const REPOSITORY = 'mesh/tiny';
export const WEIGHTS = 'model.safetensors';

const never = new AbortController().signal;

/** Real time, but so many times faster. */
function faster(factor: number): Clock {
  return {
    ...systemClock,
    now: () => systemClock.now() * factor,
    after: (delayMs, fn) => systemClock.after(delayMs / factor, fn),
  };
}

/** No wait takes longer than some milliseconds. */
export const hasty: Clock = {
  ...faster(1_000),
  after: (delayMs, fn) => systemClock.after(Math.min(delayMs, 2_000) / 1_000, fn),
};
/** One that gets nowhere is waited for a second. */
export const brisk = faster(15);

/** A hub, until the end of the test. */
export async function startHub(cleanup: Cleanup): Promise<MockHub> {
  const hub = await MockHub.start();
  cleanup.add(() => hub.stop());
  return hub;
}

/** How a test fetches. */
export interface FetchOptions extends Partial<Omit<DownloadComponents, 'hub' | 'onProgress'>> {
  readonly request?: Partial<DownloadRequest>;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** Fetches a model (`REPOSITORY`) into a folder; undefined as hub: none may be asked. */
export async function fetchFrom(
  hub: MockHub | undefined,
  directory: string,
  { request, token, signal = never, clock = hasty, random = systemRandom, ...rest }: FetchOptions = {},
): Promise<Downloaded & { readonly reports: readonly DownloadProgress[] }> {
  const reports: DownloadProgress[] = [];
  const done = await downloadModel(
    { repository: REPOSITORY, directory, parallelMax: 4, partBytes: 256 * 1024, ...request },
    {
      hub: hub && new Hub({ endpoint: hub.endpoint, token }, { clock: systemClock }),
      clock,
      random,
      onProgress: (each) => reports.push(each),
      ...rest,
    },
    signal,
  );
  return { ...done, reports };
}

/** Nodes that know each other and give each other files, without a network. */
export class MemorySharers {
  readonly #nodes = new Map<
    string,
    { readonly server: FileServer; readonly sharing: Sharing; place: string }
  >();
  /** Bytes that went from node to node. */
  bytesRead = 0;
  /** Called with each answer of bytes; may change or refuse it. */
  onRead: (from: string, to: string, bytes: Buffer) => Buffer | Promise<Buffer> = (_from, _to, bytes) =>
    bytes;
  /** Called before each question. */
  onAsk: (from: string, to: string) => void | Promise<void> = () => undefined;

  /** Adds a node that keeps models in this folder. */
  add(nodeId: string, place: string, clock: Clock = systemClock): void {
    const claims = new Claims();
    const port: PeerFiles = {
      selfId: nodeId,
      peers: () => [...this.#nodes.keys()].filter((other) => other !== nodeId),
      ask: async (to, question) => {
        await this.onAsk(nodeId, to);
        return this.#get(to).server.list(nodeId, question);
      },
      read: async (from, question, signal) => {
        const bytes = await this.#get(from).server.read(nodeId, question, signal);
        this.bytesRead += bytes.length;
        return this.onRead(from, nodeId, bytes);
      },
    };
    this.#nodes.set(nodeId, {
      server: new FileServer({ selfId: nodeId, places: [{ path: place, isWritable: true }], claims }),
      sharing: new Sharing({ port, claims, clock, random: systemRandom }),
      place,
    });
  }

  remove(nodeId: string): void {
    this.#nodes.delete(nodeId);
  }

  server(nodeId: string): FileServer {
    return this.#get(nodeId).server;
  }

  sharing(nodeId: string): Sharing {
    return this.#get(nodeId).sharing;
  }

  /** Where a node keeps `REPOSITORY`. */
  directory(nodeId: string): string {
    return path.join(this.#get(nodeId).place, REPOSITORY.replace('/', '--'));
  }

  #get(nodeId: string) {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) throw new ExoError('connection-closed', `${nodeId} is gone`, { retryable: true });
    return node;
  }
}
