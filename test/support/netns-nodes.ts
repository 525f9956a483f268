/** Nodes on hosts of the lab: `exo` as a person types it, and its API asked from the same host. */
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Host, Lab } from '../lab/lab.js';
import { eventually } from './eventually.js';
import { type ChatAnswer, edges, nodeIds, type Topology } from './http.js';
import { type Child, EXO_MAIN } from './processes.js';

/** A node on a host. */
export interface HostNode {
  readonly host: Host;
  readonly child: Child;
  /** Port of its HTTP API on its loopback. */
  readonly apiPort: number;
}

/** A folder with the command `exo` in it, for the PATH, and the files that a person would have beside it. */
export function exoOnThePath(lab: Lab, files: Record<string, string> = {}): string {
  const folder = lab.cleanup.folder();
  const exo = path.join(folder, 'exo');
  writeFileSync(exo, `#!/bin/sh\nexec '${process.execPath}' '${EXO_MAIN}' "$@"\n`);
  chmodSync(exo, 0o755);
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}

/**
 * Types a command line on a host, in `folder` (see `exoOnThePath`), with its own EXO_HOME.
 * @param line as in the seeds, `exo …`; a shell reads it
 */
export function typeExo(lab: Lab, host: Host, folder: string, line: string, apiPort = 52415): HostNode {
  const child = host.start('/bin/sh', ['-c', `exec ${line}`], {
    name: `${host.netns} $ ${line}`,
    cwd: folder,
    env: {
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      EXO_HOME: lab.cleanup.folder(),
      EXO_API: '',
      DEBUG: '1',
      NO_COLOR: '1',
    },
  });
  return { host, child, apiPort };
}

/** `GET /topology` of a node. */
export const topologyOf = (node: HostNode): Promise<Topology> =>
  node.host.fetchJson<Topology>(`http://127.0.0.1:${node.apiPort}/topology`, { timeoutMs: 2_000 });

/** One chat request to the dummy model. */
export const chatOf = (node: HostNode): Promise<ChatAnswer> =>
  node.host.fetchJson<ChatAnswer>(`http://127.0.0.1:${node.apiPort}/v1/chat/completions`, {
    body: JSON.stringify({ model: 'dummy', messages: [{ role: 'user', content: 'hi' }] }),
    timeoutMs: 30_000,
  });

/** What all nodes must show. */
export interface Expected {
  /** Number of nodes in the view; with `ids` also which. */
  readonly ids?: readonly string[];
  readonly nodes: number;
  /** Number of edges. */
  readonly edges: number;
}

/** Waits until every node shows what is expected; returns how long that took from the call on. */
export async function untilAllShow(
  nodes: readonly HostNode[],
  expected: Expected,
  timeoutMs: number,
): Promise<number> {
  const seen = new Map<HostNode, string>();
  const onLate = () =>
    nodes.map((node) => `saw: ${seen.get(node) ?? 'no answer'}\n${node.child.output}`).join('\n');
  const { tookMs } = await eventually(
    { timeoutMs, everyMs: 100, what: `${nodes.length} nodes show ${JSON.stringify(expected)}`, onLate },
    async () => {
      const views = await Promise.all(
        nodes.map(async (node) => {
          if (node.child.exit !== undefined) throw new Error(`${node.child.name} ended (${node.child.exit})`);
          const view = await topologyOf(node);
          seen.set(node, `${nodeIds(view).join()} | ${edges(view).join()}`);
          return view;
        }),
      );
      return views.every(
        (view) =>
          nodeIds(view).length === expected.nodes &&
          edges(view).length === expected.edges &&
          (expected.ids === undefined || nodeIds(view).join() === [...expected.ids].sort().join()),
      );
    },
  );
  return tookMs;
}
