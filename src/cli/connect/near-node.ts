/** The near node: one that runs here and reads a peers file, or one that is started for the connection. */
import { ExoError } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import { namedTarget } from '../target.js';
import { backgroundPeersFile } from './background-node.js';
import { describe, findNode, type LocalNode } from './local-node.js';

/** A node whose peers file can be edited. */
export type NearNode = LocalNode & { readonly peersFile: string };

/**
 * The running node that `--api`, EXO_API or the run files name; undefined where none runs. Throws with what to do where the
 * running one cannot be used.
 */
export async function findNearNode(host: CliHost, api: string | undefined): Promise<NearNode | undefined> {
  const named = namedTarget(api, host.env);
  let node: LocalNode | undefined;
  if (named === undefined) {
    node = await findNode(host);
  } else {
    const run = named.run;
    if (run?.api == null) {
      throw new HintedError(
        'api-unreachable',
        'exo connect writes into the peers file of a node, so that node must run on this machine and under this user',
        'run exo connect on the machine of that node, or leave out --api and EXO_API',
      );
    }
    node = await describe(host, { ...run, api: run.api });
  }
  if (node === undefined) return undefined;
  return requirePeersFile(node, backgroundPeersFile(host.env));
}

/** Throws `option-conflict` for a node that reads no peers file. */
export function requirePeersFile(node: LocalNode, usual: string): NearNode {
  const { peersFile } = node;
  if (peersFile !== null) return { ...node, peersFile };
  throw new HintedError(
    'option-conflict',
    `the node ${node.id} (pid ${node.run.pid}) runs without manual discovery, so it would not see the new peer`,
    `end it (exo stop) and run this again: a node is started in the background. Or start it with --discovery-module manual,udp --discovery-config-path ${usual} (a file with {"peers": {}})`,
  );
}

/** Throws where both ends are one node, or two with one id. */
export function requireTwoNodes(
  near: LocalNode,
  far: { readonly id: string; readonly instance: string },
): void {
  if (near.run.instance === far.instance) {
    throw new ExoError('self-address', `ssh leads back to this machine: the node there is ${near.id} itself`);
  }
  if (near.id === far.id) {
    throw new ExoError(
      'duplicate-id',
      `both nodes are called ${near.id}; was the folder of one copied? Start one of them with another --node-id`,
    );
  }
}
