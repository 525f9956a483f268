/** Meshes of real processes on loopback: new nodes and old peers that all know each other by peers.json. */
import assert from 'node:assert/strict';
import { eventually } from './eventually.js';
import { allEdges, type ChatAnswer, edges, nodeIds, topology } from './http.js';
import { writePeersFile } from './peers-file.js';
import { freePorts } from './ports.js';
import { type Cleanup, type RunningNode, runExo, runLegacy } from './processes.js';

/** Who is in a mesh. */
export interface Member {
  readonly id: string;
  readonly kind: 'new' | 'old';
  /** More options. */
  readonly args?: readonly string[];
  /** Old peers only. A function is asked when the new nodes run, with the memory that one of them shows. */
  readonly memoryMb?: (newNodeMb: number) => number;
  /** New nodes only. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts new nodes, then old peers, and waits until every one lists all nodes and all edges. */
export async function fullMesh(
  cleanup: Cleanup,
  members: readonly Member[],
): Promise<Map<string, RunningNode>> {
  const folder = cleanup.folder();
  const ports = await freePorts(members.length * 2);
  const portOf = new Map(members.map(({ id }, i) => [id, ports[i]!]));
  const peersFileOf = (id: string) =>
    writePeersFile(folder, `${id}.json`, Object.fromEntries([...portOf].filter(([other]) => other !== id)));

  const nodes = new Map<string, RunningNode>();
  await Promise.all(
    members.map(async ({ id, kind, args: more = [], env = {} }, i) => {
      if (kind === 'old') return;
      const args = ['--discovery-module', 'manual', '--discovery-config-path', peersFileOf(id), ...more];
      const apiPort = ports[members.length + i]!;
      nodes.set(id, await runExo(cleanup, { id, nodePort: portOf.get(id)!, apiPort, args, child: { env } }));
    }),
  );
  const oneNew = members.find(({ kind }) => kind === 'new')?.id;
  const newNodeMb =
    oneNew === undefined ? 16_384 : (await topology(nodes.get(oneNew)!.api)).nodes[oneNew]!.memory;
  for (const { id, kind, memoryMb, args } of members) {
    if (kind === 'new') continue;
    const peersFile = peersFileOf(id);
    nodes.set(
      id,
      await runLegacy(cleanup, {
        id,
        peersFile,
        nodePort: portOf.get(id)!,
        memoryMb: memoryMb?.(newNodeMb) ?? newNodeMb,
        ...(args === undefined ? {} : { args }),
      }),
    );
  }
  await untilFullMesh(nodes, 30_000);
  return nodes;
}

/** Waits until every node lists all of them, and an edge for every ordered pair. Returns how long it took. */
export async function untilFullMesh(
  nodes: ReadonlyMap<string, RunningNode>,
  timeoutMs: number,
): Promise<number> {
  const ids = [...nodes.keys()].sort();
  const seen = new Map<string, string>();
  const outputs = () =>
    [...nodes].map(([id, node]) => `${id} saw ${seen.get(id)}\n${node.child.output}`).join('\n');
  const { tookMs } = await eventually(
    { timeoutMs, what: `all of ${ids.join()} list each other`, onLate: outputs },
    async () => {
      for (const [id, node] of nodes) {
        const view = await topology(node.api);
        seen.set(id, `${nodeIds(view).join()} ${edges(view).join()}`);
        if (seen.get(id) !== `${ids.join()} ${allEdges(ids).join()}`) return false;
      }
      return true;
    },
  );
  return tookMs;
}

/** What the dummy model says, whoever is asked. */
export function assertDummyAnswer(answer: ChatAnswer): void {
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0]!.message.content, 'dummy'.repeat(10));
  assert.equal(answer.choices[0]!.finish_reason, 'stop');
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.deepEqual([prompt_tokens, completion_tokens, total_tokens], [1, 10, 11]);
}
