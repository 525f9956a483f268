/**
 * The models, and the original's endpoints about their files. No model here has files yet (the dummy needs none),
 * so these tell just that, in the original's shape.
 */
import { z } from 'zod';
import { ExoError, LIMITS, printable } from '../shared/index.js';
import { readJsonBody } from './body.js';
import { resolveModel } from './chat-request.js';
import { HttpError } from './openai-errors.js';
import type { ChatModel } from './ports.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { SSE_HEADERS } from './sse.js';

const downloadBody = z.looseObject(
  {
    model: z
      .string({ error: 'must be the name of a model; GET /v1/models lists them' })
      .min(1, { error: 'must not be empty' }),
  },
  { error: 'must be a JSON object' },
);

/** `/v1/models` and what the original has about downloads. */
export function modelRoutes(api: ApiContext): Route[] {
  const { chat } = api;
  return [
    {
      method: 'GET',
      paths: ['/v1/models', '/models'],
      access: 'local',
      handle: (request) => request.json({ object: 'list', data: chat.models().map(modelJson) }),
    },
    {
      method: 'GET',
      paths: ['/v1/models/:id{.+}'],
      access: 'local',
      handle: (request) => request.json(modelJson(findModel(api, request.req.param('id') ?? ''))),
    },
    {
      method: 'GET',
      paths: ['/initial_models'],
      access: 'local',
      handle: (request) =>
        request.json(
          byId(chat.models(), (model) => ({
            name: model.name ?? model.id,
            ...filesJson(model),
            loading: false,
          })),
        ),
    },
    { method: 'GET', paths: ['/modelpool'], access: 'local', handle: () => modelPool(chat.models()) },
    {
      method: 'GET',
      paths: ['/v1/download/progress'],
      access: 'local',
      handle: (request) => request.json({}),
    },
    { method: 'POST', paths: ['/download'], access: 'trusted', handle: (request) => download(api, request) },
    {
      method: 'DELETE',
      paths: ['/models/:id{.+}'],
      access: 'trusted',
      handle: (request) => {
        const { id } = findModel(api, request.req.param('id') ?? '');
        throw new HttpError('http-not-found', `${id} has no files on this node; nothing was deleted`);
      },
    },
  ];
}

async function download(api: ApiContext, request: ApiRequest): Promise<Response> {
  const body = await readJsonBody(request.env.incoming, downloadBody, LIMITS.httpSmallBodyBytesMax);
  const model = findModel(api, body.model);
  if (!model.ready) throw new HttpError('http-unsupported', 'downloading models is not supported yet');
  return request.json({ status: 'success', message: `${model.id} is ready; nothing needs to be downloaded` });
}

function findModel(api: ApiContext, id: string): ChatModel {
  const models = api.chat.models();
  const found = models.find((model) => model.id === id);
  if (found !== undefined) return found;
  // Names the known models; only `gpt-*` gets past it, which is no model of its own here.
  resolveModel(id, api.chat);
  throw new ExoError(
    'model-unknown',
    `${printable(id)} is not a model of this mesh; it stands for ${api.chat.defaultModel}`,
  );
}

function modelPool(models: readonly ChatModel[]): Response {
  const events = models.map((model) => `data: ${JSON.stringify({ [model.id]: filesJson(model) })}\n\n`);
  return new Response(`${events.join('')}data: [DONE]\n\n`, { headers: SSE_HEADERS });
}

/** A model as OpenAI's clients read it, with the original's `ready`. */
function modelJson({ id, ready }: ChatModel) {
  return { id, object: 'model', owned_by: 'exo', ready };
}

function filesJson({ ready }: ChatModel) {
  return {
    downloaded: ready,
    download_percentage: ready ? 100 : 0,
    total_size: 0,
    total_downloaded: 0,
  };
}

function byId<T>(models: readonly ChatModel[], value: (model: ChatModel) => T): Record<string, T> {
  return Object.fromEntries(models.map((model) => [model.id, value(model)]));
}
