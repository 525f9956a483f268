/**
 * The node of this machine that `exo connect` works with: found among the running ones, asked over its API, ended. The near
 * side uses it directly, the far side through `exo __far`.
 */
import { isLive, type RunRecord } from '../../node/home/index.js';
import { ExoError, sleep } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import type { StatusJson, TopologyJson } from '../api-shapes.js';
import type { CliHost } from '../host.js';
import { type ApiTarget, ambiguous, type RunningNode, runningNodes, runTarget } from '../target.js';
import { TunnelClient } from '../tunnel/client.js';

/** A running node and where it listens. */
export interface LocalNode {
  readonly id: string;
  readonly run: RunRecord;
  readonly api: ApiTarget;
  /** An address that this machine can dial. */
  readonly nodeHost: string;
  readonly nodePort: number;
  /** Null: it does not read one. */
  readonly peersFile: string | null;
}

const LOOK_EVERY_MS = 50;
/** A node says goodbye to its peers and closes; longer means that something hangs. */
const GONE_WITHIN_MS = 10_000;

/** The running node; undefined where none runs. Throws `node-ambiguous`, or `peer-unknown` for a name that none has. */
export async function findNode(host: CliHost, name?: string): Promise<LocalNode | undefined> {
  const nodes = runningNodes(host.env);
  if (name !== undefined) {
    const named = nodes.find(({ id }) => id === name);
    if (named === undefined) throw new ExoError('peer-unknown', `no node "${name}" runs on that machine`);
    return describe(host, named);
  }
  if (nodes.length === 0) return undefined;
  // One that reads a peers file can be used, the others cannot.
  const usable = nodes.length === 1 ? nodes : nodes.filter(({ peersFile }) => peersFile != null);
  if (usable.length !== 1) throw ambiguous(nodes);
  return describe(host, usable[0]!);
}

/** A run file with what the node itself says of where it listens. */
export async function describe(host: CliHost, run: RunningNode): Promise<LocalNode> {
  const api = runTarget(run);
  const { self } = await callApi<StatusJson>(host.clock, api, { method: 'GET', path: '/v1/status' });
  const everywhere = self.node_host === '0.0.0.0' || self.node_host === '::';
  return {
    id: run.id,
    run,
    api,
    nodeHost: everywhere ? '127.0.0.1' : self.node_host,
    nodePort: self.node_port,
    peersFile: run.peersFile ?? null,
  };
}

/** Lets a node read its peers file now, and waits a while for the tunnels that it has no more. Rejects when it refuses the file. */
export async function reloadPeers(host: CliHost, node: LocalNode): Promise<void> {
  await new TunnelClient(host.clock, node.api).reload();
}

/** Waits until the node's topology lists every id; resolves with those that it does not list by then. */
export async function waitForIds(
  host: CliHost,
  node: LocalNode,
  ids: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string[]> {
  const endMs = host.clock.now() + timeoutMs;
  for (;;) {
    const view = await callApi<TopologyJson>(host.clock, node.api, {
      method: 'GET',
      path: '/v1/topology',
      signal,
    });
    const missing = ids.filter((id) => !Object.hasOwn(view.nodes, id));
    if (missing.length === 0 || host.clock.now() > endMs) return missing;
    await sleep(host.clock, LOOK_EVERY_MS, signal);
  }
}

/** Asks a node to end and waits until its process is gone. */
export async function quitNode(host: CliHost, run: RunningNode): Promise<void> {
  await callApi(host.clock, runTarget(run), { method: 'POST', path: '/quit' });
  const endMs = host.clock.now() + GONE_WITHIN_MS;
  while (isLive(run)) {
    if (host.clock.now() > endMs) {
      throw new ExoError(
        'request-timeout',
        `the node ${run.id} (pid ${run.pid}) does not end; kill ${run.pid}`,
      );
    }
    await sleep(host.clock, LOOK_EVERY_MS);
  }
}
