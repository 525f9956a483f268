/**
 * Whole nodes over the in-memory network: the shipped composition, with transport, clock, randomness and the list of
 * addresses passed in. Used by tests of membership and topology, by the simulation and by the convergence bench.
 */
import type { Candidate, Discovery, DiscoveryComponents, Refusal } from '../../src/discovery/index.js';
import type { InferenceEngine } from '../../src/inference/index.js';
import { createNode, type Node, type NodeOptions } from '../../src/node/index.js';
import {
  type DeviceCapabilities,
  type Listener,
  type MemoryNetwork,
  UNKNOWN_CAPABILITIES,
} from '../../src/protocol/index.js';
import { type Clock, type Logger, type Random, silentLogger } from '../../src/shared/index.js';

/** What a mesh of nodes runs on. */
export interface MeshWorld {
  readonly network: MemoryNetwork;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
}

/** One node to make. Its machine in the network has the name `host` (default: its id). */
export interface MeshNodeOptions {
  readonly id: string;
  readonly host?: string;
  /** Hosts that it is configured to dial, on port 50051. */
  readonly dials: readonly string[];
  readonly memoryMb?: number;
  /** @default the dummy */
  readonly engine?: InferenceEngine;
  readonly node?: Partial<NodeOptions>;
}

const PORT = 50051;
let instances = 0;

/** A node that is not started yet, and the candidates that it can be given later. */
export function meshNode(world: MeshWorld, options: MeshNodeOptions): Node & { readonly list: AddressList } {
  const { id, host = id } = options;
  instances += 1;
  const capabilities: DeviceCapabilities = {
    ...UNKNOWN_CAPABILITIES,
    model: `Box ${id}`,
    memory: options.memoryMb ?? 1024,
  };
  const list = new AddressList(options.dials.map((name) => candidateFor(name)));
  const node = createNode(
    {
      nodeId: id,
      instance: instances.toString(16).padStart(16, '0'),
      epoch: Math.floor(world.clock.wall()),
      version: 'test',
      nodeHost: host,
      nodePort: PORT,
      discovery: { modules: ['manual'], discoveryTimeoutMs: 30_000, listenPort: 5678, broadcastPort: 5678 },
      engine: 'dummy',
      responseTimeoutMs: 60_000,
      maxGenerateTokens: 100,
      defaultTemperature: 0,
      ...options.node,
    },
    {
      clock: world.clock,
      random: world.random,
      logger: (world.logger ?? silentLogger).child({ node: id }),
      transport: world.network.transport(host),
      ...(options.engine === undefined ? {} : { inferenceEngine: options.engine }),
      discover: (_, components) => list.connect(components),
      capabilities: { instant: capabilities, refined: Promise.resolve(capabilities) },
    },
  );
  return Object.assign(node, { list });
}

/** Listens on one machine and passes everything on to another, as an interface or a tunnel does. */
export async function relay(w: MeshWorld, host: string, to: string): Promise<Listener> {
  const listener = w.network.transport(host).listen({ host, port: PORT }, (near) => {
    const early: Buffer[] = [];
    near.onData = (chunk) => void early.push(Buffer.from(chunk));
    void w.network
      .transport(host)
      .dial({ host: to, port: PORT }, { timeoutMs: 5_000 })
      .then((far) => {
        if (early.length > 0) far.write(early);
        near.onData = (chunk) => void far.write([Buffer.from(chunk)]);
        far.onData = (chunk) => void near.write([Buffer.from(chunk)]);
        near.onEnd = () => far.end();
        far.onEnd = () => near.end();
        near.onClose = () => far.destroy();
        far.onClose = () => near.destroy();
      });
  });
  await listener.start();
  return listener;
}

/** A candidate as peers.json would give it. */
export function candidateFor(host: string, over: Partial<Candidate> = {}): Candidate {
  return {
    key: `manual:${host}`,
    module: 'manual',
    address: { host, port: PORT },
    claimedId: host,
    description: 'MAN',
    priority: 4,
    configured: true,
    ...over,
  };
}

/** A list of addresses in the place of a file of addresses: the discovery of nodes that live in memory. */
export class AddressList implements Discovery {
  readonly #candidates: Map<string, Candidate>;
  readonly #refusals: Refusal[] = [];
  #components: DiscoveryComponents | undefined;

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = new Map(candidates.map((candidate) => [candidate.key, candidate]));
  }

  connect(components: DiscoveryComponents): this {
    this.#components = components;
    return this;
  }

  async start(): Promise<void> {
    for (const candidate of this.#candidates.values()) this.#components?.onCandidate(candidate);
  }

  async stop(): Promise<void> {}

  /** Adds or changes an address while the node runs. */
  offer(candidate: Candidate): void {
    this.#candidates.set(candidate.key, candidate);
    this.#components?.onCandidate(candidate);
  }

  withdraw(key: string): void {
    this.#candidates.delete(key);
    this.#components?.onWithdrawn(key);
  }

  async reload(): Promise<void> {}

  noteOutcome(): void {}

  refuse(refusal: Omit<Refusal, 'atMs'>): void {
    this.#refusals.push({ ...refusal, atMs: this.#components?.clock.wall() ?? 0 });
  }

  unrefuse(): void {}

  refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  candidates(): [] {
    return [];
  }

  bestFor(): [] {
    return [];
  }

  allowsId(): boolean {
    return true;
  }

  describe(): ReturnType<Discovery['describe']> {
    return [{ module: 'manual', state: `${this.#candidates.size} addresses` }];
  }
}

/** Ids of the peers that a node counts as alive, sorted. */
export function alive(node: Node): string[] {
  return node.mesh
    .peers()
    .filter((peer) => peer.state === 'alive')
    .map((peer) => peer.id)
    .sort();
}
