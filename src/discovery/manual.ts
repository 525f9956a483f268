/**
 * Manual discovery: peers from peers.json, applied again whenever the file changes. A file that has become
 * unreadable or wrong changes nothing but the list of refusals. It dials nobody.
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import {
  type Clock,
  type ExoError,
  formatAddress,
  LIMITS,
  type Logger,
  printable,
  type TimerHandle,
  toExoError,
} from '../shared/index.js';
import type { Candidate, CandidateSink, DiscoveryModule } from './candidate.js';
import { type PeerEntry, type PeersFile, readPeersFile } from './peers-file.js';

/** Where the peers are. */
export interface ManualOptions {
  /** `--discovery-config-path`. */
  readonly path: string;
  /** The node's own entry is skipped: the original wants it listed, people leave it out. */
  readonly nodeId: string;
}

/** What the module needs. */
export interface ManualComponents {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sink: CandidateSink;
  /**
   * Told the top-level `tunnels`, as written, and the entries (a peer may carry a tunnel), at start and after every change
   * of the file.
   */
  onTunnels?(tunnels: Readonly<Record<string, unknown>>, peers: readonly PeerEntry[]): void;
}

/** The file system's events come in bursts: an editor writes, renames and sets the mode. */
const SETTLE_MS = 100;
/** Events get lost on network folders and in containers; then this poll alone keeps the promise of 2 s. */
const POLL_MS = 1_000;
/** Where nothing tells which path is better: as an Ethernet address. */
const PRIORITY = 4;

/** Watches one file. */
export class ManualDiscovery implements DiscoveryModule {
  readonly name = 'manual';
  readonly #file: string;
  readonly #nodeId: string;
  readonly #c: ManualComponents;
  #keys: ReadonlySet<string> = new Set();
  #stamp = '';
  #problem: ExoError | undefined;
  #watcher: FSWatcher | undefined;
  #poll: TimerHandle | undefined;
  #settle: TimerHandle | undefined;
  #check: Promise<void> = Promise.resolve();
  #looking = false;
  #lookAgain = false;
  #running = false;

  constructor(options: ManualOptions, components: ManualComponents) {
    this.#file = resolve(options.path);
    this.#nodeId = options.nodeId;
    this.#c = components;
  }

  /** Rejects with `peers-file-unreadable` or `peers-file-invalid`: a first start with a wrong file is an error. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#stamp = await stampOf(this.#file);
    this.#apply(await readPeersFile(this.#file));
    this.#running = true;
    this.#watch();
    this.#poll = this.#c.clock.every(POLL_MS, () => this.#look());
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#poll?.cancel();
    this.#settle?.cancel();
    this.#watcher?.close();
    this.#watcher = undefined;
    await this.#check;
    for (const key of this.#keys) this.#c.sink.withdraw(key);
    this.#keys = new Set();
  }

  /** Reads the file now, whether it looks changed or not. Rejects with the reason when it cannot be used. */
  async reload(): Promise<void> {
    if (!this.#running) return;
    this.#stamp = '';
    this.#look();
    await this.#check;
    if (this.#problem !== undefined) throw this.#problem;
  }

  describe(): string {
    const count = `${this.#keys.size} peer${this.#keys.size === 1 ? '' : 's'} from ${this.#file}`;
    return this.#problem === undefined ? count : `${count} as it was before: ${this.#problem.message}`;
  }

  /** The folder is watched, not the file: an editor that replaces the file leaves its old inode behind. */
  #watch(): void {
    try {
      this.#watcher = watch(dirname(this.#file), { persistent: false }, (_event, name) => {
        if (name !== null && name !== basename(this.#file)) return;
        this.#settle?.cancel();
        this.#settle = this.#c.clock.after(SETTLE_MS, () => this.#look());
      });
      this.#watcher.on('error', (error) => {
        this.#c.logger.debug('peers-file-watch-failed', { file: this.#file, error });
        this.#watcher?.close();
        this.#watcher = undefined;
      });
    } catch (error) {
      // No inotify instances left, or a file system without events: the poll is enough.
      this.#c.logger.debug('peers-file-watch-failed', { file: this.#file, error });
    }
  }

  /** One look at a time, and at most one more behind it. */
  #look(): void {
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    this.#check = (async () => {
      while (this.#lookAgain && this.#running) {
        this.#lookAgain = false;
        await this.#reload();
      }
      this.#looking = false;
    })();
  }

  async #reload(): Promise<void> {
    if (!this.#running) return;
    const stamp = await stampOf(this.#file);
    if (stamp === this.#stamp) return;
    try {
      const file = await readPeersFile(this.#file);
      if (!this.#running) return;
      this.#apply(file);
      this.#problem = undefined;
      this.#c.sink.unrefuse?.(this.#file);
      const { sink, logger } = this.#c;
      const used = [...this.#keys].filter((key) => sink.has?.(key) ?? true).length;
      logger.info('peers-file-applied', { file: this.#file, peers: this.#keys.size, used });
    } catch (error) {
      const problem = toExoError(error);
      const { code, message } = problem;
      if (message !== this.#problem?.message) {
        this.#c.logger.warn('peers-file-refused', { file: this.#file, reason: message });
      }
      this.#problem = problem;
      this.#c.sink.refuse({
        module: 'manual',
        subject: this.#file,
        code,
        reason: `${message}; the peers it named before stay, and their tunnels`,
      });
    }
    // Taken before the file was read: a change in between is seen at the next look.
    this.#stamp = stamp;
  }

  #apply(file: PeersFile): void {
    const peers = file.peers.filter((peer) => peer.id !== this.#nodeId);
    const keys = new Set(peers.map((peer) => keyOf(peer)));
    for (const key of this.#keys) if (!keys.has(key)) this.#c.sink.withdraw(key);
    this.#keys = keys;
    for (const peer of peers) {
      const candidate: Candidate = {
        key: keyOf(peer),
        module: 'manual',
        address: peer.address,
        claimedId: peer.id,
        ...(peer.capabilities === undefined ? {} : { capabilities: peer.capabilities }),
        description: 'MAN',
        priority: peer.priority ?? PRIORITY,
        configured: true,
        ...(peer.tunnel === undefined ? {} : { tunnel: peer.tunnel }),
      };
      this.#c.logger.debug('peers-file-entry', {
        id: printable(peer.id, LIMITS.nodeIdCharsMax),
        address: formatAddress(peer.address),
      });
      this.#c.sink.offer(candidate);
    }
    this.#c.onTunnels?.(file.tunnels, peers);
  }
}

function keyOf(peer: PeerEntry): string {
  return `manual:${peer.id}`;
}

/** Changes when the file does: replaced, written, cut, or gone. */
async function stampOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
