/**
 * Where answers are computed whose request does not say it: as the node was started, where that fits the model. Ranges of layers
 * are made for one model, and a node may be asked for another. Called by `generations.ts`.
 */
import { ExoError, toExoError } from '../../shared/index.js';
import type { ModelEntry } from '../engine-models.js';
import type { Placement } from '../placement.js';
import type { RingPlanner } from '../planner/index.js';
import { ringFault } from '../ring/index.js';

/** A placement, and what is to be said of it. */
export interface ChosenPlacement {
  readonly placement: Placement;
  /** Why it is not the node's own setting. */
  readonly note?: string;
  /** The ranges are those of `--layers`. */
  readonly isOwnRanges?: true;
}

/** Of the request, else of the node, else the planner's. */
export function choosePlacement(
  asked: Placement | undefined,
  own: Placement | undefined,
  model: Pick<ModelEntry, 'id' | 'layers'>,
): ChosenPlacement {
  if (asked !== undefined) return { placement: asked };
  if (own?.kind !== 'manual') return { placement: own ?? { kind: 'auto' } };
  const fault = ringFault(own.ranges, model);
  if (fault === undefined) return { placement: own, isOwnRanges: true };
  return { placement: { kind: 'auto' }, note: `--layers does not fit this model: ${fault}` };
}

/** A planner whose plans and errors say so. */
export function explained(
  planner: Pick<RingPlanner, 'plan' | 'record'>,
  { note, isOwnRanges }: ChosenPlacement,
): Pick<RingPlanner, 'plan' | 'record'> {
  if (note === undefined && isOwnRanges !== true) return planner;
  return {
    record: planner.record,
    async plan(question) {
      try {
        const plan = await planner.plan(question);
        return note === undefined ? plan : { ...plan, reason: `${plan.reason} (${note})` };
      } catch (error) {
        throw isOwnRanges === true ? ofOwnRanges(toExoError(error)) : error;
      }
    },
  };
}

/** Who reads it has not written the ranges, and may not know of them. */
function ofOwnRanges(error: ExoError): ExoError {
  const wayOut =
    error.code === 'ring-incomplete'
      ? 'start or connect that node, or start this one with other ranges or without --layers'
      : 'start it with other ranges or without --layers';
  return new ExoError(
    error.code,
    `${error.message}; the ranges are those of --layers of this node: ${wayOut}`,
    {
      retryable: error.retryable,
      cause: error,
    },
  );
}
