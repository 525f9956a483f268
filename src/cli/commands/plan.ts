/** `exo plan`. */
import type { PlanJson } from '../api-shapes.js';
import type { CliHost, Colours } from '../host.js';
import type { ApiTarget } from '../target.js';
import { type ClientOptions, view } from './view.js';

/** A node measures its engine first and asks the others; of a model that is not here it asks the hub, as long as that is tried. */
const PLAN_TIMEOUT_MS = 60_000;

/** Prints where a model would be computed now. */
export function plan(host: CliHost, model: string, options: ClientOptions): Promise<number> {
  const body = model === '' ? {} : { model };
  const lines = async (answer: PlanJson, _target: ApiTarget, c: Colours) => {
    const { formatPlan } = await import('../format/plan.js');
    return formatPlan(answer, c);
  };
  return view(host, options, '/v1/plan', lines, { method: 'POST', body, timeoutMs: PLAN_TIMEOUT_MS });
}
