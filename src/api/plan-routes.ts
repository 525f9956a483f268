/**
 * /v1/plan: where a model would be computed now, how fast, and why. Computes no answer and loads no weights; the first
 * question for a model has the engines measured. GET changes nothing and knows the models that are known; POST may fetch the small
 * files of another one, here and on trusted nodes.
 */
import * as z from 'zod';
import { ExoError, LIMITS } from '../shared/index.js';
import { readJsonBody } from './body.js';
import { planJson } from './plan-json.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { WorkScope } from './work-scope.js';

const planBody = z.looseObject(
  {
    model: z
      .string({ error: 'must be the name of a model; GET /v1/models lists them' })
      .max(LIMITS.modelIdCharsMax, { error: `at most ${LIMITS.modelIdCharsMax} characters` })
      .nullish(),
  },
  { error: 'must be a JSON object' },
);

/** GET `/v1/plan?model=…`, POST `/v1/plan` with `{"model"}`; without a model the default one. */
export function planRoutes(api: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      paths: ['/v1/plan'],
      access: 'local',
      handle: async (request) => {
        const model = request.req.query('model');
        if (model !== undefined && model.length > LIMITS.modelIdCharsMax) {
          throw new ExoError('http-invalid', `model: at most ${LIMITS.modelIdCharsMax} characters`);
        }
        return await answer(api, request, model, false);
      },
    },
    {
      method: 'POST',
      paths: ['/v1/plan'],
      access: 'local',
      handle: async (request) => {
        const { model } = await readJsonBody(request.env.incoming, planBody, LIMITS.httpSmallBodyBytesMax);
        return await answer(api, request, model ?? undefined, true);
      },
    },
  ];
}

async function answer(
  api: ApiContext,
  request: ApiRequest,
  model: string | undefined,
  mayFetch: boolean,
): Promise<Response> {
  const { chat } = api;
  if (chat.plan === undefined) throw new ExoError('http-unsupported', 'this node makes no plans');
  const scope = new WorkScope(api, request.env.outgoing);
  try {
    return request.json(planJson(await scope.race(chat.plan(model, { mayFetch, signal: scope.signal }))));
  } catch (error) {
    if (mayFetch || !(error instanceof ExoError) || error.code !== 'model-unknown') throw error;
    const wayOut = 'a GET fetches nothing; POST /v1/plan, as "exo plan" does, fetches what it must know';
    throw new ExoError('model-unknown', `${error.message} (${wayOut})`);
  } finally {
    scope.end();
  }
}
