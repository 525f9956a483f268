/**
 * The files of models on this node, for those who ask about them: what is being fetched here and elsewhere, begin a download,
 * remove a model; and this node's answers to others that fetch. `node` connects it with the mesh, `api` and `cli` ask it.
 */
import {
  Claims,
  type DownloadProgress,
  type FetchSource,
  FileServer,
  type ModelFetches,
  type ModelStore,
  type PeerFiles,
  type Removed,
  Sharing,
  shortNameOf,
} from '../../models/index.js';
import type { OpaqueStatus, Shard } from '../../protocol/index.js';
import {
  type Clock,
  ExoError,
  LIMITS,
  type Logger,
  printable,
  type Random,
  toExoError,
} from '../../shared/index.js';
import {
  DownloadBoard,
  downloadStatus,
  type NodeDownload,
  ownEntry,
  readDownloadStatus,
} from './download-board.js';
import { type ModelOnDisk, modelInventory } from './inventory.js';
import type { NodeModels } from './node-models.js';

/** What the mesh is to it. */
export interface DownloadsMesh {
  /** The other nodes, as far as they share files. */
  readonly files: PeerFiles;
  broadcast(status: OpaqueStatus): void;
  /** What this node would hold in the ring as it is now; undefined: nothing. Throws `ring-incomplete`. */
  ownShard(modelId: string, layers: number): Shard | undefined;
}

/** What it works with. */
export interface DownloadsComponents {
  readonly store: ModelStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** What `exo model pull` asks of a node that runs. */
export interface PullRequest {
  readonly model: string;
  /** Both included; absent: all of it. */
  readonly layers?: readonly [from: number, to: number] | undefined;
  /** Where who asks would fetch it to, and from which hub: a node that would do otherwise is not to do it. */
  readonly directory?: string | undefined;
  readonly endpoint?: string | undefined;
}

/** What came of it. */
export interface Pulled {
  readonly id: string;
  readonly repository: string;
  readonly directory: string;
  readonly commit: string | null;
  /** Absent: everything was there. */
  readonly progress?: DownloadProgress;
}

/** One node's. */
export class Downloads {
  readonly #parts: DownloadsComponents;
  readonly #board: DownloadBoard;
  readonly #claims = new Claims();
  readonly #toldMs = new Map<string, number>();
  /** Those that pull; each is a client that waits. */
  readonly #watchers = new Set<(progress: DownloadProgress) => void>();
  #models: NodeModels | undefined;
  #fetches: ModelFetches | undefined;
  #mesh: DownloadsMesh | undefined;
  #sharing: Sharing | undefined;
  #server: FileServer | undefined;

  constructor(components: DownloadsComponents) {
    this.#parts = components;
    this.#board = new DownloadBoard(components.clock);
  }

  /** Where the names and the downloads are; once, before anything else. */
  use(models: NodeModels, fetches: ModelFetches): void {
    this.#models = models;
    this.#fetches = fetches;
  }

  /** There is a mesh: files are taken from its nodes, and given to them. */
  connect(mesh: DownloadsMesh): void {
    const { clock, random, store } = this.#parts;
    this.#mesh = mesh;
    this.#sharing = new Sharing({ port: mesh.files, claims: this.#claims, clock, random });
    this.#server = new FileServer({
      selfId: mesh.files.selfId,
      places: store.places,
      claims: this.#claims,
    });
  }

  /** Undefined before there is a mesh. */
  get sharing(): Sharing | undefined {
    return this.#sharing;
  }

  /** Bytes a second at which files came last; null: not measured. */
  fetchRate(source: FetchSource): number | null {
    return this.#fetches?.rates.of(source) ?? null;
  }

  /** Answers nodes that fetch; undefined before there is a mesh. */
  get server(): FileServer | undefined {
    return this.#server;
  }

  /** Downloads under way, of all nodes that tell of theirs. */
  get running(): readonly NodeDownload[] {
    return this.#board.running;
  }

  /** A report of a download of this node. */
  onProgress(progress: DownloadProgress): void {
    const { clock } = this.#parts;
    const { repository, status } = progress;
    this.#models?.onProgress(progress);
    for (const watcher of this.#watchers) watcher(progress);
    const id = shortNameOf(repository) ?? repository;
    const nodeId = this.#mesh?.files.selfId ?? '';
    this.#board.note(nodeId, ownEntry(progress, id));
    const nowMs = clock.now();
    const toldMs = this.#toldMs.get(repository) ?? Number.NEGATIVE_INFINITY;
    if (status !== 'complete' && nowMs - toldMs < LIMITS.downloadTellMs) return;
    this.#toldMs.delete(repository);
    if (status !== 'complete') this.#toldMs.set(repository, nowMs);
    // Those that failed stay; no more run at once than may.
    if (this.#toldMs.size > LIMITS.modelFetchesMax) this.#toldMs.delete(this.#toldMs.keys().next().value!);
    this.#mesh?.broadcast(downloadStatus(nodeId, progress, id));
  }

  /** 0x40. Statuses of other kinds are left alone; a new peer tells of itself alone. */
  onStatus(message: OpaqueStatus, from: string | null): void {
    const entry = readDownloadStatus(message);
    if (entry === undefined || entry.nodeId === this.#mesh?.files.selfId) return;
    if (from !== null && from !== entry.nodeId) return;
    this.#board.note(entry.nodeId, entry);
  }

  /**
   * Begins to fetch what this node would hold of a model in the ring as it is now, and resolves when it is known that there is such a
   * model. What happens then is told by `running`. Throws `model-unknown`, `model-unsupported`, `model-absent` or what a hub says.
   */
  async start(
    name: string,
    signal: AbortSignal,
  ): Promise<{ readonly id: string; readonly isReady: boolean }> {
    const { log } = this.#parts;
    const models = this.#models!;
    const { id, repository } = models.repositoryOf(name);
    await models.learn(id, signal, true);
    const { layers, ready } = models.find(id);
    if (ready) return { id, isReady: true };
    const shard = this.#mesh?.ownShard(id, layers);
    const { startLayer, endLayer } = shard ?? { startLayer: 0, endLayer: layers - 1 };
    const wanted = { startLayer, endLayer, layers };
    const found = await this.#parts.store.find(repository, signal);
    if (found.some(({ survey }) => survey.has(wanted))) return { id, isReady: true };
    this.#fetches!.fetch(repository, wanted, new AbortController().signal).catch((error: unknown) =>
      log.debug('download-ended', { model: id, error: toExoError(error) }),
    );
    return { id, isReady: false };
  }

  /**
   * Fetches a model, or layers of it, for a client that waits: when the signal is aborted the download ends, unless others want it.
   * Throws `option-conflict` where this node fetches to another folder or from another hub, and what a download throws.
   */
  async pull(
    { model, layers, directory, endpoint }: PullRequest,
    onProgress: (progress: DownloadProgress) => void,
    signal: AbortSignal,
  ): Promise<Pulled> {
    const models = this.#models!;
    const fetches = this.#fetches!;
    const { id, repository } = models.repositoryOf(model);
    const target = await this.#parts.store.targetOf(repository);
    const isElsewhere = directory !== undefined && directory !== target;
    if (isElsewhere || (fetches.isOnline && endpoint !== undefined && endpoint !== fetches.endpoint)) {
      throw new ExoError(
        'option-conflict',
        `this node fetches ${printable(repository, 200)} from ${fetches.endpoint ?? 'no hub'} to ${target}`,
      );
    }
    let last: DownloadProgress | undefined;
    const watcher = (progress: DownloadProgress): void => {
      if (progress.repository !== repository) return;
      last = progress;
      onProgress(progress);
    };
    this.#watchers.add(watcher);
    try {
      await fetches.fetch(repository, 'small', signal, { isHeld: true });
      await models.learn(id, signal, true);
      const [startLayer, endLayer] = layers ?? [];
      const wanted =
        startLayer === undefined || endLayer === undefined
          ? 'all'
          : { startLayer, endLayer, layers: models.find(id).layers };
      const folder = await fetches.fetch(repository, wanted, signal, { isHeld: true });
      const stored = await this.#parts.store.find(repository, signal);
      const commit = stored.find((each) => each.directory === folder)?.record?.commit ?? null;
      return { id, repository, directory: folder, commit, ...(last === undefined ? {} : { progress: last }) };
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  /** Ends the downloads of a model and removes its files. Throws `model-unknown`, `model-absent`, `model-in-use`, `state-unwritable`. */
  async remove(name: string): Promise<Removed & { readonly id: string }> {
    const { id, repository } = this.#models!.repositoryOf(name);
    await this.#fetches!.end(repository, `${printable(id, 100)} is being removed`);
    this.#board.forget(this.#mesh?.files.selfId ?? '', repository);
    const removed = await this.#parts.store.remove(repository);
    await this.#models!.filesCame(repository);
    return { id, ...removed };
  }

  /** What is on disk, and the models with short names that are not. */
  files(signal: AbortSignal): Promise<readonly ModelOnDisk[]> {
    return modelInventory(this.#parts.store, this.#fetches?.isOnline === true, signal);
  }

  /** Ends all downloads; what came stays. */
  async stop(): Promise<void> {
    this.#models?.stop();
    await this.#fetches?.stop();
  }
}
