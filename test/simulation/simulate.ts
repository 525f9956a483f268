/** One run of one seed, from the first start to the last stop, in virtual time. */
import { type Bug, withBug } from './bugs.js';
import { type Plan, planOf, stepInWords } from './plan.js';
import { World } from './world.js';

/** What a run was. */
export interface RunResult {
  readonly seed: number;
  /** What did not hold, in words; undefined of a good run. */
  readonly failure: string | undefined;
  readonly hash: string;
  readonly events: number;
  readonly nodes: number;
  readonly settledMsMax: number;
  readonly questions: { readonly asked: number; readonly answered: number; readonly failed: number };
  /** For the report of a failure. */
  readonly schedule: readonly string[];
  readonly lastEvents: readonly string[];
}

/** How to run. */
export interface RunOptions {
  readonly seed: number;
  /** @default 600 */
  readonly virtualSeconds?: number;
  /** Injects a fault into the product. */
  readonly bug?: Bug | undefined;
  /** Events of a failed run to report. @default 60 */
  readonly lastEvents?: number;
}

const SLICE_MS = 1_000;

/** Runs a seed. Runs of one process come one after the other. */
export async function simulate(options: RunOptions): Promise<RunResult> {
  const plan = planOf(options.seed, (options.virtualSeconds ?? 600) * 1_000);
  return withBug(options.bug, () => run(plan, options.lastEvents ?? 60));
}

async function run(plan: Plan, lastEvents: number): Promise<RunResult> {
  const world = new World(plan);
  const unhandled = (error: unknown) =>
    world.fail(`unhandled: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.on('unhandledRejection', unhandled);
  process.on('uncaughtException', unhandled);
  try {
    world.begin();
    for (let nowMs = 0; nowMs < plan.durationMs && world.failure === undefined; nowMs += SLICE_MS) {
      await world.clock.run(SLICE_MS);
    }
    if (world.failure === undefined) await world.end();
  } finally {
    process.off('unhandledRejection', unhandled);
    process.off('uncaughtException', unhandled);
  }
  const { trace, traffic, failure, settledMsMax } = world;
  return {
    seed: plan.seed,
    failure,
    hash: trace.hash,
    events: trace.count,
    nodes: plan.nodes.length,
    settledMsMax,
    questions: traffic.counts,
    schedule: failure === undefined ? [] : plan.steps.map(stepInWords),
    lastEvents: failure === undefined ? [] : trace.last(lastEvents),
  };
}
