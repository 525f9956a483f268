/**
 * The endpoints of tunnels. Looking is for everybody who may use the API; opening, closing and reloading is for the owner
 * alone, because a tunnel logs in to other machines as the user of the node.
 */
import * as z from 'zod';
import { LIMITS, waitAtMost } from '../shared/index.js';
import { parseTunnelSpec } from '../tunnels/index.js';
import { readJsonBody } from './body.js';
import { STATUS_SCHEMA_VERSION, warningJson } from './mesh-json.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { tunnelEventJson, tunnelJson } from './tunnels-json.js';

const name = z
  .string({ error: 'must be the name of a tunnel' })
  .min(1, { error: 'must not be empty' })
  .max(LIMITS.nodeIdCharsMax, { error: `must have at most ${LIMITS.nodeIdCharsMax} characters` });

/** What the words mean is said by `parseTunnelSpec`, as for peers.json. */
const openBody = z.looseObject(
  {
    name: name.optional(),
    ssh: z.string({ error: 'must say where to connect to: user@host, or a Host of the ssh configuration' }),
  },
  { error: 'must be a JSON object' },
);

const reloadBody = z.looseObject({ name: name.optional() }, { error: 'must be a JSON object' });

/** Codes of warnings that are shown beside tunnels. */
const OF_TUNNELS = /^tunnel-|^state-unwritable$/;
/** And of refusals: while peers.json cannot be read, what is shown is not what it says. */
const OF_FILE = /^peers-file-/;

/** `/v1/tunnels`, `/v1/tunnels/:name` and `/v1/tunnels/reload`. */
export function tunnelRoutes(api: ApiContext): Route[] {
  const { mesh } = api;
  return [
    {
      method: 'GET',
      paths: ['/v1/tunnels'],
      access: 'local',
      handle: (request) => request.json(listJson(api)),
    },
    { method: 'POST', paths: ['/v1/tunnels'], access: 'owner', handle: (request) => open(api, request) },
    {
      method: 'POST',
      paths: ['/v1/tunnels/reload'],
      access: 'owner',
      handle: (request) => reload(api, request),
    },
    {
      method: 'GET',
      paths: ['/v1/tunnels/:name'],
      access: 'local',
      handle: (request) => request.json(detailJson(api, nameOf(request))),
    },
    {
      method: 'DELETE',
      paths: ['/v1/tunnels/:name'],
      access: 'owner',
      handle: async (request) => {
        const which = nameOf(request);
        const tunnel = tunnelJson(mesh.tunnels.get(which));
        await mesh.tunnels.close(which);
        api.log.info('tunnel-closed', { tunnel: which });
        return request.json({ schema_version: STATUS_SCHEMA_VERSION, tunnel });
      },
    },
  ];
}

async function open(api: ApiContext, request: ApiRequest): Promise<Response> {
  const { incoming } = request.env;
  const { name: given, ...written } = await readJsonBody(incoming, openBody, LIMITS.httpSmallBodyBytesMax);
  const spec = parseTunnelSpec(written, {
    source: 'command',
    ...(given === undefined ? {} : { name: given }),
  });
  const tunnel = api.mesh.tunnels.open(spec);
  api.log.info('tunnel-opened', { tunnel: tunnel.name, destination: tunnel.destination });
  return request.json({ schema_version: STATUS_SCHEMA_VERSION, tunnel: tunnelJson(tunnel) }, 201);
}

/**
 * peers.json first, so that what was mended there is what is tried again. A file that cannot be used is the answer. When it is
 * given, what the file has no more is gone, and its ports are free, unless its ssh takes long to end.
 */
async function reload(api: ApiContext, request: ApiRequest): Promise<Response> {
  const { incoming } = request.env;
  const { name: which } = await readJsonBody(incoming, reloadBody, LIMITS.httpSmallBodyBytesMax);
  try {
    await api.mesh.reload();
  } finally {
    api.mesh.tunnels.retry(which);
  }
  await waitAtMost(api.clock, LIMITS.tunnelReleaseMs, api.mesh.tunnels.released());
  return request.json(listJson(api));
}

function listJson({ mesh }: ApiContext) {
  return {
    schema_version: STATUS_SCHEMA_VERSION,
    tunnels: mesh.tunnels.list().map(tunnelJson),
    warnings: [
      ...mesh
        .refusals()
        .filter(({ code }) => OF_FILE.test(code))
        .map(({ code, reason, atMs }) => ({ code, message: reason, atMs })),
      ...mesh.warnings().filter(({ code }) => OF_TUNNELS.test(code)),
    ].map(warningJson),
  };
}

function detailJson({ mesh }: ApiContext, which: string) {
  return {
    schema_version: STATUS_SCHEMA_VERSION,
    tunnel: tunnelJson(mesh.tunnels.get(which)),
    history: mesh.tunnels.history(which).map(tunnelEventJson),
  };
}

/** Decoded by the router; empty only where the path has nothing there. */
function nameOf(request: ApiRequest): string {
  return request.req.param('name') ?? '';
}
