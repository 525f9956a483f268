/** The planner: which nodes compute an answer, and which layers each of them holds. */
export { type PlanQuestion, type RingPlan, RingPlanner, type RingPlannerComponents } from './ring-planner.js';
