/**
 * The models, and the original's endpoints about their files: what is here of them, what is being fetched on which node, begin a
 * download, remove a model. Models without files (the dummy's) are always here.
 */
import * as z from 'zod';
import { DEMO_MODEL, type ModelOnDisk } from '../inference/index.js';
import { ExoError, LIMITS, printable, toExoError } from '../shared/index.js';
import { readJsonBody } from './body.js';
import { askedModel } from './chat-request.js';
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
      handle: async (request) => {
        const files = await filesOf(api);
        return request.json({
          object: 'list',
          data: usable(chat.models()).map((model) => modelJson(model, files.get(model.id))),
        });
      },
    },
    {
      method: 'GET',
      paths: ['/v1/models/:id{.+}'],
      access: 'local',
      handle: async (request) => {
        const model = findModel(api, request.req.param('id') ?? '');
        return request.json(modelJson(model, (await filesOf(api)).get(model.id)));
      },
    },
    {
      method: 'GET',
      paths: ['/initial_models'],
      access: 'local',
      handle: async (request) => {
        const files = await allFiles(api);
        const entries = files.map(({ id, name, ...rest }) => [id, { name, ...rest, loading: false }]);
        return request.json(Object.fromEntries(entries));
      },
    },
    { method: 'GET', paths: ['/modelpool'], access: 'local', handle: () => modelPool(api) },
    {
      method: 'GET',
      paths: ['/v1/download/progress'],
      access: 'local',
      handle: (request) => request.json(progressJson(api)),
    },
    { method: 'POST', paths: ['/download'], access: 'trusted', handle: (request) => download(api, request) },
    {
      method: 'DELETE',
      paths: ['/models/:id{.+}'],
      access: 'trusted',
      handle: (request) => remove(api, request),
    },
  ];
}

/** By node, as in the original; of a node with several downloads the one that was heard of last. */
function progressJson({ downloads }: ApiContext): Record<string, object> {
  return Object.fromEntries((downloads?.running ?? []).map(({ nodeId, event }) => [nodeId, event]));
}

async function download(api: ApiContext, request: ApiRequest): Promise<Response> {
  const body = await readJsonBody(request.env.incoming, downloadBody, LIMITS.httpSmallBodyBytesMax);
  const success = (message: string) => request.json({ status: 'success', message });
  if (api.downloads === undefined || isWithoutFiles(api, body.model)) {
    const { id, ready } = findModel(api, body.model);
    if (!ready) throw new HttpError('http-unsupported', `this node has no way to fetch ${id}`);
    return success(`${id} is ready; nothing needs to be downloaded`);
  }
  const { id, isReady } = await api.downloads.start(body.model, api.stopping);
  return success(
    isReady
      ? `${id} is ready; nothing needs to be downloaded`
      : `the download of ${id} has begun; /v1/download/progress tells how far it is`,
  );
}

async function remove(api: ApiContext, request: ApiRequest): Promise<Response> {
  const name = request.req.param('id') ?? '';
  if (api.downloads === undefined || isWithoutFiles(api, name)) {
    const { id } = findModel(api, name);
    throw new HttpError('http-not-found', `${id} has no files on this node; nothing was deleted`);
  }
  try {
    const { id, bytes, directories, kept } = await api.downloads.remove(name);
    const rest = kept.length === 0 ? '' : `; not written to: ${kept.join(', ')}`;
    return request.json({
      status: 'success',
      message: `${id} is deleted (${bytes} bytes, ${directories.join(', ')})${rest}`,
    });
  } catch (error) {
    const { code, message } = toExoError(error);
    // Nothing is there of it: as in the original.
    throw code === 'model-absent' ? new HttpError('http-not-found', message) : error;
  }
}

/** What nobody can compute is offered to nobody; `/v1/status` says why. */
function usable(models: readonly ChatModel[]): readonly ChatModel[] {
  return models.filter((model) => model.unusable === undefined);
}

/** The model that comes with the program lies in the program. */
function isWithoutFiles(api: ApiContext, name: string): boolean {
  return name === DEMO_MODEL && api.chat.models().some(({ id }) => id === name);
}

function findModel(api: ApiContext, id: string): ChatModel {
  const models = api.chat.models();
  const found = models.find((model) => model.id === id);
  if (found !== undefined) return found;
  const meant = askedModel(id, api.chat);
  const known = models.map((model) => model.id).join(', ') || 'none';
  throw new ExoError(
    'model-unknown',
    meant === id
      ? `Unsupported model: ${printable(id)}; known models: ${known}`
      : `${printable(id)} is not a model of this mesh; it stands for ${meant}`,
  );
}

/** One event a model, as in the original; the page asks again. */
async function modelPool(api: ApiContext): Promise<Response> {
  const events = (await allFiles(api)).map(
    ({ id, name: _, ...rest }) => `data: ${JSON.stringify({ [id]: rest })}\n\n`,
  );
  return new Response(`${events.join('')}data: [DONE]\n\n`, { headers: SSE_HEADERS });
}

/** A model as OpenAI's clients read it, with the original's `ready`, and what is here of its files. */
function modelJson({ id, ready }: ChatModel, file: ModelOnDisk | undefined) {
  return {
    id,
    object: 'model',
    owned_by: 'exo',
    ready,
    downloaded: file?.isComplete ?? ready,
    download_percentage: file?.percentage ?? (ready ? 100 : 0),
  };
}

async function filesOf({ downloads, stopping }: ApiContext): Promise<ReadonlyMap<string, ModelOnDisk>> {
  const files = (await downloads?.files(stopping)) ?? [];
  return new Map(files.map((file) => [file.id, file]));
}

/** What can be asked for, and what could be after a download. */
async function allFiles(api: ApiContext) {
  const files = await filesOf(api);
  const models = api.chat.models();
  const known = new Set(models.map(({ id }) => id));
  return [
    ...usable(models).map((model) => filesJson({ name: model.id, ...model }, files.get(model.id))),
    ...[...files.values()]
      .filter(({ id }) => !known.has(id))
      .map((file) => filesJson({ ...file, ready: file.isComplete }, file)),
  ];
}

function filesJson(
  { id, name, ready }: { readonly id: string; readonly name: string; readonly ready: boolean },
  file: ModelOnDisk | undefined,
) {
  return {
    id,
    name,
    downloaded: file?.isComplete ?? ready,
    download_percentage: file?.percentage ?? (ready ? 100 : 0),
    total_size: file?.totalBytes ?? 0,
    total_downloaded: file?.bytes ?? 0,
  };
}
