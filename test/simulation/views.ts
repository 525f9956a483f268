/** Whether the nodes of a mesh see the same, and what there is: every running node, nobody else, both directions of every edge. */
import type { Life, Machine } from './machine.js';

/** The first thing that is not as it must be; undefined when all views are equal and right. */
export function viewFault(running: readonly Machine[]): string | undefined {
  const ids = running.map(({ id }) => id).sort();
  let digest: string | undefined;
  for (const { id, life } of running) {
    const { nodes, edges, digest: own } = life!.node.mesh.topology();
    const seen = [...nodes.keys()].sort();
    if (seen.join() !== ids.join()) return `${id} sees ${seen.join()} and there are ${ids.join()}`;
    if (edges.length !== ids.length * (ids.length - 1)) {
      return `${id} sees ${edges.length} edges: ${edges.map(({ fromId, toId }) => `${fromId}-${toId}`).join(' ')}`;
    }
    const alive = life!.node.mesh.peers().filter(({ state }) => state === 'alive');
    if (alive.length !== ids.length - 1) return `${id} has the living peers ${alive.map((peer) => peer.id)}`;
    if (digest !== undefined && digest !== own) {
      return `${id} has the digest ${own}, others ${digest}; it sees ${inWords(life!)}, others ${inWords(running[0]!.life!)}`;
    }
    digest = own;
  }
  return undefined;
}

function inWords({ node }: Life): string {
  const { nodes, edges } = node.mesh.topology();
  return JSON.stringify([
    [...nodes],
    edges.map(({ fromId, toId, description }) => [fromId, toId, description]),
  ]);
}
