/** Running nodes that know their peers from a file, for tests that want something to talk to. */
import assert from 'node:assert/strict';
import { chat } from './http.js';
import { assertDummyAnswer } from './mesh.js';
import { writePeersFile } from './peers-file.js';
import { freePorts } from './ports.js';
import { Cleanup, type RunningNode, runExo } from './processes.js';

/** What is wanted of a node. */
export interface NodeWish {
  /** @default n */
  readonly id?: string;
  /** What its peers.json says, as `writePeersFile` takes it. @default nobody */
  readonly peers?: Record<string, number | string>;
  /** More options. */
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Ports that others know already. @default free ones */
  readonly nodePort?: number;
  readonly apiPort?: number;
}

/** Starts a node on loopback by manual discovery; it ends with `cleanup`. */
export async function startNode(cleanup: Cleanup, wish: NodeWish = {}): Promise<RunningNode> {
  const { id = 'n', peers = {}, args = [], env = {} } = wish;
  const [nodePort = 0, apiPort = 0] = await freePorts(2);
  const file = writePeersFile(cleanup.folder(), 'peers.json', peers);
  return runExo(cleanup, {
    id,
    nodePort: wish.nodePort ?? nodePort,
    apiPort: wish.apiPort ?? apiPort,
    args: ['--discovery-module', 'manual', '--discovery-config-path', file, ...args],
    child: { env },
  });
}

/** Runs `work` with such a node, which ends with it. */
export async function withNode(
  work: (node: RunningNode) => Promise<void>,
  wish: NodeWish = {},
): Promise<void> {
  const cleanup = new Cleanup();
  try {
    await work(await startNode(cleanup, wish));
  } finally {
    await cleanup.dispose();
  }
}

/** The node runs and answers. */
export async function assertHealthy(node: RunningNode): Promise<void> {
  assert.equal(node.child.exit, undefined, node.child.output);
  assertDummyAnswer(await chat(node.api));
}
