/** `exo topology`: the machines, who holds which share of the ring, and the edges. Pure. */
import { printable } from '../../shared/index.js';
import type { TopologyJson } from '../api-shapes.js';
import type { Colours } from '../host.js';
import { columns } from './columns.js';
import { outsiderLines } from './plan.js';
import { count, memory, share, teraflops } from './units.js';

const HEAD = ['NODE', 'MACHINE', 'CHIP', 'MEMORY', 'SPEED', 'RING'] as const;

/** The lines of `exo topology`. */
export function formatTopology(view: TopologyJson, c: Colours): string[] {
  const ids = orderedIds(view);
  const rows = ids.map((id) => {
    const caps = view.nodes[id]!;
    const part = view.partitions.find(({ node_id: nodeId }) => nodeId === id);
    return [
      `${id}${marks(view, id)}`,
      caps.model,
      caps.chip,
      memory(caps.memory),
      teraflops(caps.flops.fp16),
      part === undefined ? '-' : share(part.start, part.end),
    ];
  });
  const [head = '', ...lines] = columns([[...HEAD], ...rows]);
  const edges = Object.values(view.peer_graph).flat();
  const edgeRows = edges
    .map(({ from_id: from, to_id: to, description }) => [from, '→', to, description])
    .sort((a, b) => (a.join(' ') < b.join(' ') ? -1 : 1));
  return [
    `${count(ids.length, 'node')}, ${count(edges.length, 'edge')}, view ${printable(view.digest, 16)}`,
    c.dim(head),
    ...lines,
    ...(edgeRows.length === 0 ? [] : ['', ...columns(edgeRows)]),
    ...outsiderLines(view.outsiders),
  ];
}

/** In the order of the ring; nodes without a share after it, by name. */
function orderedIds(view: TopologyJson): string[] {
  const ring = view.partitions.map(({ node_id: id }) => id).filter((id) => Object.hasOwn(view.nodes, id));
  const rest = Object.keys(view.nodes).filter((id) => !ring.includes(id));
  return [...ring, ...rest.sort()];
}

function marks(view: TopologyJson, id: string): string {
  const words = [
    ...(id === view.self_id ? ['asked'] : []),
    ...(id === view.active_node_id ? ['working'] : []),
    ...(view.legacy_ids.includes(id) ? ['old'] : []),
  ];
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}
