/**
 * Our own addition to the chat body, `exo: {"placement": …}`: which nodes compute the answer. Clients that do not know it leave it
 * out. Whether the nodes are there and have the layers is found by the planner.
 */
import { z } from 'zod';
import type { Placement } from '../inference/index.js';
import { LIMITS } from '../shared/index.js';

const PLACEMENT =
  'must be "auto", "solo", "split", or a list like [{"node": "n1", "layers": [0, 11]}, {"node": "n2", "layers": [12, 23]}]';
const layer = z
  .int({ error: PLACEMENT })
  .min(0, { error: PLACEMENT })
  .max(LIMITS.modelLayersMax, { error: PLACEMENT });

const range = z.object(
  { node: z.string({ error: PLACEMENT }).min(1, { error: PLACEMENT }), layers: z.tuple([layer, layer]) },
  { error: PLACEMENT },
);

/** Goes into the schema of the body. */
export const exoFields = z
  .looseObject(
    {
      placement: z
        .union([z.enum(['auto', 'solo', 'split']), z.array(range).min(1).max(LIMITS.ringMembersMax)], {
          error: PLACEMENT,
        })
        .nullish(),
    },
    { error: 'must be an object like {"placement": "solo"}' },
  )
  .nullish();

/** Undefined: the node’s own setting. */
export function toPlacement(exo: z.infer<typeof exoFields>): Placement | undefined {
  const placement = exo?.placement;
  if (placement === null || placement === undefined) return undefined;
  if (typeof placement === 'string') return { kind: placement };
  const ranges = placement.map(({ node, layers: [startLayer, endLayer] }) => {
    return { nodeId: node, startLayer, endLayer };
  });
  return { kind: 'manual', ranges };
}
