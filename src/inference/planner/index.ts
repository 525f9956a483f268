/** The planner: which nodes compute an answer, and which layers each of them holds. */
export type { PlanQuestion, RingPlan } from './plan.js';
export type { Outsider } from './plan-errors.js';
export {
  type PlanErrors,
  type PlanFigures,
  type PlanNote,
  PlanRecord,
  type PlanWatch,
} from './plan-record.js';
export type { Prediction } from './predict.js';
export {
  RingPlanner,
  type RingPlannerComponents,
} from './ring-planner.js';
