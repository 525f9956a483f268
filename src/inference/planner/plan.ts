/** What the planner is asked, and what it answers. Types only. */
import type { ModelEntry } from '../engine-models.js';
import type { Placement } from '../placement.js';
import type { RingMember } from '../ring/index.js';
import type { PathFigures } from './paths.js';
import type { Outsider } from './plan-errors.js';
import type { Prediction } from './predict.js';

/** What is to be computed. */
export interface PlanQuestion {
  readonly model: ModelEntry;
  readonly placement: Placement;
  readonly promptTokens: number;
  /** Absent: as long as an answer usually is. */
  readonly maxTokens?: number | undefined;
  /** The ring before broke: what was heard of the others does not count any more. */
  readonly isRetry: boolean;
  /**
   * What could be done, without members that have fallen silent where the ring before broke; nothing of it is remembered.
   * @default false
   */
  readonly isTrial?: boolean;
  /** Nodes that do not know the model may fetch its small files. @default true */
  readonly mayFetch?: boolean;
  /** Of who waits for the plan. */
  readonly signal: AbortSignal;
}

/** A path between two nodes, as the prediction has it. */
export interface PlannedPath extends PathFigures {
  readonly from: string;
  readonly to: string;
}

/** Where it is computed. */
export interface RingPlan {
  /** Told to the members; absent: each of them computes the ring by itself, as the original does. */
  readonly ring?: readonly RingMember[];
  /** Where it was measured what it is made of. */
  readonly prediction?: Prediction;
  /** The paths that the answer takes, in order; with a prediction only. */
  readonly paths?: readonly PlannedPath[];
  /** Why it is so, in words. */
  readonly reason: string;
  /** Nodes that take no layers of this model, each with the reason. */
  readonly outsiders: readonly Outsider[];
}
