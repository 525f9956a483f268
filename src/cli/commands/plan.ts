/** `exo plan`. */
import type { PlanJson } from '../api-shapes.js';
import type { CliHost } from '../host.js';
import { type ClientOptions, view } from './view.js';

/** Prints where a model would be computed now. */
export function plan(host: CliHost, model: string, options: ClientOptions): Promise<number> {
  const query = model === '' ? '' : `?model=${encodeURIComponent(model)}`;
  return view<PlanJson>(host, options, `/v1/plan${query}`, async (answer, _target, c) => {
    const { formatPlan } = await import('../format/plan.js');
    return formatPlan(answer, c);
  });
}
