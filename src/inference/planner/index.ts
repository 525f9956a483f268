/** The planner: which nodes compute an answer, and which layers each of them holds. */
export type { Outsider } from './plan-errors.js';
export { type PlanFigures, type PlanNote, PlanRecord, type PlanWatch } from './plan-record.js';
export type { Prediction } from './predict.js';
export {
  type PlanQuestion,
  type RingPlan,
  RingPlanner,
  type RingPlannerComponents,
} from './ring-planner.js';
