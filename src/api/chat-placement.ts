/**
 * Our own addition to the chat body, `exo: {"placement": …}`: which nodes compute the answer. Clients that do not know it leave it
 * out. A node that nobody has heard of is refused here; whether the others are there and have the layers is found by the planner.
 */
import * as z from 'zod';
import type { Placement } from '../inference/index.js';
import type { Mesh } from '../node/index.js';
import { LIMITS, printable } from '../shared/index.js';
import { HttpError } from './openai-errors.js';

const PLACEMENT =
  'must be "auto", "solo", "split", or a list like [{"node": "n1", "layers": [0, 11]}, {"node": "n2", "layers": [12, 23]}]';
const layer = z
  .int({ error: PLACEMENT })
  .min(0, { error: PLACEMENT })
  .max(LIMITS.modelLayersMax, { error: PLACEMENT });

const range = z.object(
  {
    node: z.string({ error: PLACEMENT }).min(1, { error: PLACEMENT }),
    layers: z.tuple([layer, layer], { error: PLACEMENT }),
  },
  { error: PLACEMENT },
);

const ranges = z
  .array(range, { error: PLACEMENT })
  .min(1, { error: PLACEMENT })
  .max(LIMITS.ringMembersMax, { error: `must name at most ${LIMITS.ringMembersMax} nodes` });

/** Goes into the schema of the body. */
export const exoFields = z
  .looseObject(
    {
      placement: z.union([z.enum(['auto', 'solo', 'split']), ranges], { error: PLACEMENT }).nullish(),
    },
    { error: 'must be an object like {"placement": "solo"}' },
  )
  .nullish();

/** Names in a message; a mesh may have a thousand. */
const NAMED_MAX = 16;

/** Undefined: the node’s own setting. Throws `placement-invalid` for a node that nobody here has heard of. */
export function toPlacement(
  exo: z.infer<typeof exoFields>,
  mesh: Pick<Mesh, 'self' | 'peers' | 'topology'>,
): Placement | undefined {
  const placement = exo?.placement;
  if (placement === null || placement === undefined) return undefined;
  if (typeof placement === 'string') return { kind: placement };
  assertKnown(placement, mesh);
  const placed = placement.map(({ node, layers: [startLayer, endLayer] }) => {
    return { nodeId: node, startLayer, endLayer };
  });
  return { kind: 'manual', ranges: placed };
}

/** One that was here and is gone may come back: the planner says so. */
function assertKnown(placed: z.infer<typeof ranges>, mesh: Pick<Mesh, 'self' | 'peers' | 'topology'>): void {
  const known = new Set([
    mesh.self().id,
    ...mesh.peers().map(({ id }) => id),
    ...mesh.topology().nodes.keys(),
  ]);
  for (const [index, { node }] of placed.entries()) {
    if (known.has(node)) continue;
    const names = [...known].slice(0, NAMED_MAX).map((id) => printable(id, 60));
    const more = known.size > NAMED_MAX ? ` and ${known.size - NAMED_MAX} more` : '';
    throw new HttpError(
      'placement-invalid',
      `no node "${printable(node, 60)}" is known; there are: ${names.join(', ')}${more}`,
      { param: `exo.placement.${index}.node` },
    );
  }
}
