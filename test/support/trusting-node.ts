/** Nodes with keys of their own in one process, over real sockets on loopback: the composition that `exo node` uses. */
import type { NodeSettings } from '../../src/node/index.js';
import { createNode, type Node, type OpenedTrust, openNodeTrust } from '../../src/node/index.js';
import { type DeviceCapabilities, UNKNOWN_CAPABILITIES } from '../../src/protocol/index.js';
import { type Logger, silentLogger, systemClock, systemRandom } from '../../src/shared/index.js';
import { AddressList, candidateFor } from './memory-mesh.js';
import type { Cleanup } from './processes.js';

/** What distinguishes one of them. */
export interface TrustingNodeOptions {
  readonly id: string;
  /** `EXO_AUTH_TOKEN`. */
  readonly token?: string;
  readonly allowLegacy?: readonly string[];
  /** @default a fresh folder */
  readonly home?: string;
  readonly trust?: Partial<NodeSettings['trust']>;
  readonly logger?: Logger;
  /** @default unknown */
  readonly capabilities?: DeviceCapabilities;
}

/** A node that runs. */
export interface TrustingNode {
  readonly node: Node;
  readonly opened: OpenedTrust;
  readonly port: number;
  readonly home: string;
  /** Configures the address of another node, at any port. */
  dial(id: string, port: number): void;
  stop(): Promise<void>;
}

/** Starts one on a free port; it ends with the test. */
export async function trustingNode(cleanup: Cleanup, options: TrustingNodeOptions): Promise<TrustingNode> {
  const { id, token, capabilities = UNKNOWN_CAPABILITIES } = options;
  const home = options.home ?? cleanup.folder();
  const clock = systemClock;
  const random = systemRandom;
  const logger = options.logger ?? silentLogger;
  const opened = await openNodeTrust(
    {
      allowLegacy: options.allowLegacy ?? [],
      ...(token === undefined ? {} : { token: { text: token } }),
      ...options.trust,
    },
    { home, nodeId: id },
    { clock, random, logger },
  );
  const list = new AddressList([]);
  const node = createNode(
    {
      nodeId: id,
      instance: random.bytes(8).toString('hex'),
      epoch: clock.wall(),
      version: 'test',
      nodeHost: '127.0.0.1',
      nodePort: 0,
      discovery: { modules: ['manual'], discoveryTimeoutMs: 30_000, listenPort: 5678, broadcastPort: 5678 },
      engine: 'dummy',
      responseTimeoutMs: 30_000,
      maxGenerateTokens: 100,
      defaultTemperature: 0,
    },
    {
      clock,
      random,
      logger,
      transport: opened.transport,
      trust: opened.node,
      discover: (_, components) => list.connect(components),
      capabilities: { instant: capabilities, refined: Promise.resolve(capabilities) },
    },
  );
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= node.stop().then(() => opened.stop());
    return stopped;
  };
  cleanup.add(stop);
  await opened.start();
  await node.start();
  return {
    node,
    opened,
    home,
    port: node.mesh.self().nodePort,
    dial: (name, port) => list.offer(candidateFor(name, { address: { host: '127.0.0.1', port } })),
    stop,
  };
}
