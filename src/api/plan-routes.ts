/**
 * GET /v1/plan: where a model would be computed now, how fast, and why. Computes no answer and loads no weights; the first
 * question for a model may fetch its small files, and have the engines measured.
 */
import { ExoError, LIMITS } from '../shared/index.js';
import { planJson } from './plan-json.js';
import type { ApiContext, Route } from './route.js';

/** `/v1/plan?model=…`; without a model the default one. */
export function planRoutes({ chat }: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      paths: ['/v1/plan'],
      access: 'local',
      handle: async (request) => {
        if (chat.plan === undefined) throw new ExoError('http-unsupported', 'this node makes no plans');
        const model = request.req.query('model');
        if (model !== undefined && model.length > LIMITS.modelIdCharsMax) {
          throw new ExoError('http-invalid', `model: at most ${LIMITS.modelIdCharsMax} characters`);
        }
        return request.json(planJson(await chat.plan(model)));
      },
    },
  ];
}
