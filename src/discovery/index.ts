/**
 * Discovery: where peers might be. Four modules (manual, direct, udp, tcp; several may run at once) put candidates
 * into one pool; the node takes them out, dials, and tells what came of it. Nothing here dials a node or proves
 * who anybody is. The node makes one with `createDiscovery`.
 */
import {
  type Clock,
  ExoError,
  type Logger,
  type Random,
  type Sheds,
  type Startable,
  startAll,
  stopAll,
} from '../shared/index.js';
import type {
  Candidate,
  DiscoveryModule,
  DiscoveryModuleName,
  DiscoverySelf,
  NewRefusal,
  Refusal,
} from './candidate.js';
import type { CandidateOutcome, CandidateStatus } from './candidate-entry.js';
import { CandidatePool } from './candidate-pool.js';
import { DirectDiscovery } from './direct.js';
import { type LocalInterface, localInterfaces, readHardwarePorts } from './interfaces.js';
import { ManualDiscovery } from './manual.js';
import { type ReadNeighbours, readNeighbours } from './neighbours.js';
import type { PeerEntry } from './peers-file.js';
import { TcpDiscovery } from './tcp.js';
import { UdpDiscovery } from './udp.js';

export type {
  Candidate,
  CandidateSink,
  DiscoveryModule,
  DiscoveryModuleName,
  DiscoverySelf,
  NewRefusal,
  Refusal,
} from './candidate.js';
export type { CandidateOutcome, CandidateStatus } from './candidate-entry.js';
export { INTERFACE_PRIORITY, type InterfaceType, type LocalInterface } from './interfaces.js';
export {
  EMPTY_PEERS_FILE,
  type PeerEdit,
  peerAsWritten,
  withoutPeer,
  withoutTunnel,
  withPeer,
} from './peers-edit.js';
export { type PeerEntry, type PeersFile, parsePeersFile, readPeersFile } from './peers-file.js';
export { PEERS_SCHEMA } from './peers-schema.js';

/** The names that `--discovery-module` takes. */
export const DISCOVERY_MODULES: readonly DiscoveryModuleName[] = ['manual', 'direct', 'udp', 'tcp'];

/** What to run, from the command line. */
export interface DiscoveryOptions {
  /** At least one, each once. */
  readonly modules: readonly DiscoveryModuleName[];
  /** `--discovery-timeout`, milliseconds: an announced address not heard again for this long is forgotten. */
  readonly discoveryTimeoutMs: number;
  /** `--listen-port`: announcements of udp and tcp come in here. */
  readonly listenPort: number;
  /** `--broadcast-port`: the others' listen port. */
  readonly broadcastPort: number;
  /** `--discovery-config-path`, for manual. */
  readonly configPath?: string;
  /** `--peer-host`, `--peer-port`, `--peer-id`, for direct. */
  readonly peerHost?: string;
  readonly peerPort?: number;
  readonly peerId?: string;
  /** `--node-id-filter`. @default everybody */
  readonly nodeIdFilter?: readonly string[];
  /** `--interface-type-filter`. @default every type */
  readonly interfaceTypeFilter?: readonly string[];
}

/** What discovery works with, and whom it tells. Callbacks come from `start` on, never after `stop` has resolved. */
export interface DiscoveryComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly self: DiscoverySelf;
  /** New, or known and changed (same key). */
  onCandidate(candidate: Candidate): void;
  /** Known and unchanged, announced again: a reason to retry now. */
  onHeard?(candidate: Candidate): void;
  /** Withdrawn, expired, or made room. */
  onWithdrawn(key: string): void;
  /** Another node announces this node's id; told every time it is heard. It is refused as a candidate. */
  onDuplicateId?(candidate: Candidate): void;
  /** Top-level `tunnels` of peers.json, as written, and its entries; at start and after every change. */
  onTunnels?(tunnels: Readonly<Record<string, unknown>>, peers: readonly PeerEntry[]): void;
  /** Where what is turned away is counted. */
  readonly sheds?: Sheds;
  /** The machine's interfaces. @default the system's */
  readonly interfaces?: () => readonly LocalInterface[];
  /** The machine's neighbour table. @default the system's */
  readonly neighbours?: ReadNeighbours;
}

/** Running discovery. */
export interface Discovery extends Startable {
  /** What came of dialling a candidate; a key that is gone is ignored. */
  noteOutcome(key: string, outcome: CandidateOutcome): void;
  /** Something not used, and why (the node reports address and id conflicts here too). */
  refuse(refusal: NewRefusal): void;
  /** Refusals of a subject are no longer true. */
  unrefuse(subject: string): void;
  /** Refusals, newest last; the same subject and code is kept once, and of one stranger only a few. */
  refusals(): readonly Refusal[];
  /** Every candidate and what came of it. */
  candidates(): readonly CandidateStatus[];
  /** A peer's addresses, best first: working, then by priority, then by round trip. */
  bestFor(peerId: string): readonly Candidate[];
  /** Whether `--node-id-filter` lets an id in (to be asked again with the id of a hello). */
  allowsId(id: string): boolean;
  /** Reads what was configured again, now. Rejects with `peers-file-unreadable` or `peers-file-invalid`. */
  reload(): Promise<void>;
  /** One line per module, for `exo status`. */
  describe(): ReadonlyArray<{ readonly module: DiscoveryModuleName; readonly state: string }>;
}

/** Puts the modules and the pool together. Throws `option-missing` when a module lacks what it needs. */
export function createDiscovery(options: DiscoveryOptions, components: DiscoveryComponents): Discovery {
  const { clock, random, logger, self } = components;
  const pool = new CandidatePool(
    {
      nodeId: self.nodeId,
      nodeIdFilter: options.nodeIdFilter ?? [],
      interfaceTypeFilter: options.interfaceTypeFilter ?? [],
    },
    components,
  );
  let hardwarePorts: ReadonlyMap<string, string> = new Map();
  const interfaces = components.interfaces ?? (() => localInterfaces(undefined, hardwarePorts));
  const ports = {
    listenPort: options.listenPort,
    broadcastPort: options.broadcastPort,
    discoveryTimeoutMs: options.discoveryTimeoutMs,
  };
  const make: Record<DiscoveryModuleName, () => DiscoveryModule> = {
    manual: () => {
      const path = needed(options.configPath, 'manual', '--discovery-config-path peers.json');
      return new ManualDiscovery(
        { path, nodeId: self.nodeId },
        { clock, logger, sink: pool, onTunnels: (...told) => components.onTunnels?.(...told) },
      );
    },
    direct: () => {
      const host = needed(options.peerHost, 'direct', '--peer-host');
      const port = needed(options.peerPort, 'direct', '--peer-port');
      return new DirectDiscovery(
        { address: { host, port }, ...(options.peerId === undefined ? {} : { peerId: options.peerId }) },
        { sink: pool },
      );
    },
    udp: () =>
      new UdpDiscovery(ports, {
        clock,
        random,
        logger,
        self,
        sink: pool,
        interfaces,
        isProvenHost: (host) => pool.isProvenHost(host),
        sheds: components.sheds,
      }),
    tcp: () =>
      new TcpDiscovery(ports, {
        clock,
        random,
        logger,
        self,
        sink: pool,
        interfaces,
        neighbours: components.neighbours ?? (() => readNeighbours()),
        knownHosts: () => pool.hostsToAsk(),
        sheds: components.sheds,
      }),
  };
  const modules = [...new Set(options.modules)].map((name) => make[name]());
  // Those with a port of their own first: what the others find is dialled at once, and a dial may be given that port.
  const byPorts = modules.toSorted((a, b) => Number(listens(b)) - Number(listens(a)));

  return {
    async start() {
      if (components.interfaces === undefined) hardwarePorts = await readHardwarePorts();
      await startAll(byPorts);
    },
    async stop() {
      try {
        await stopAll(byPorts);
      } finally {
        pool.close();
      }
    },
    noteOutcome: (key, outcome) => pool.noteOutcome(key, outcome),
    refuse: (refusal) => pool.refuse(refusal),
    unrefuse: (subject) => pool.unrefuse(subject),
    refusals: () => pool.refusals(),
    candidates: () => pool.candidates(),
    bestFor: (peerId) => pool.bestFor(peerId),
    allowsId: (id) => pool.allowsId(id),
    async reload() {
      for (const module of modules) await module.reload?.();
    },
    describe: () => modules.map((module) => ({ module: module.name, state: module.describe() })),
  };
}

function listens({ name }: DiscoveryModule): boolean {
  return name === 'udp' || name === 'tcp';
}

function needed<T>(value: T | undefined, module: DiscoveryModuleName, option: string): T {
  if (value !== undefined) return value;
  throw new ExoError('option-missing', `--discovery-module ${module} needs ${option}`);
}
