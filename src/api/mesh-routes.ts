/** The endpoints that show the mesh, and the two that act on it: ping and quit. */
import * as z from 'zod';
import { LIMITS, untilAnyAborted } from '../shared/index.js';
import { readJsonBody } from './body.js';
import { fullTopologyJson, peersJson, STATUS_SCHEMA_VERSION, statusJson, topologyJson } from './mesh-json.js';
import type { ApiContext, ApiRequest, Route } from './route.js';

const pingBody = z.looseObject(
  {
    node: z
      .string({ error: 'must be the id of a node, or the beginning of one' })
      .min(1, { error: 'must not be empty' })
      .max(LIMITS.nodeIdCharsMax, { error: `must have at most ${LIMITS.nodeIdCharsMax} characters` }),
    timeout_ms: z
      .number({ error: 'must be a number of milliseconds' })
      .min(1, { error: 'must be at least 1' })
      .max(LIMITS.pingTimeoutMsMax, { error: `must be at most ${LIMITS.pingTimeoutMsMax}` })
      .nullish(),
  },
  { error: 'must be a JSON object' },
);

/** `/topology`, `/v1/topology`, `/v1/status`, `/v1/peers`, `/v1/ping`, `/healthcheck` and `/quit`. */
export function meshRoutes(api: ApiContext): Route[] {
  const { mesh, chat, clock } = api;
  return [
    {
      method: 'GET',
      paths: ['/healthcheck'],
      access: 'open',
      handle: (request) => request.json({ status: 'ok' }),
    },
    {
      method: 'GET',
      paths: ['/topology'],
      access: 'local',
      handle: (request) => request.json(topologyJson(mesh.topology())),
    },
    {
      method: 'GET',
      paths: ['/v1/topology'],
      access: 'local',
      handle: (request) => request.json(fullTopologyJson(mesh, chat.plans)),
    },
    {
      method: 'GET',
      paths: ['/v1/peers'],
      access: 'local',
      handle: (request) => request.json(peersJson(mesh)),
    },
    {
      method: 'GET',
      paths: ['/v1/status'],
      access: 'local',
      handle: (request) =>
        request.json(statusJson(mesh, chat, clock.wall(), api.sheds, api.downloads?.running)),
    },
    { method: 'POST', paths: ['/v1/ping'], access: 'local', handle: (request) => ping(api, request) },
    { method: 'POST', paths: ['/quit'], access: 'trusted', handle: (request) => quit(api, request) },
  ];
}

async function ping(api: ApiContext, request: ApiRequest): Promise<Response> {
  const { incoming, outgoing } = request.env;
  const body = await readJsonBody(incoming, pingBody, LIMITS.httpSmallBodyBytesMax);
  const gone = new AbortController();
  const onClose = () => gone.abort();
  outgoing.once('close', onClose);
  try {
    const timeoutMs = body.timeout_ms ?? LIMITS.healthTimeoutMs;
    const reply = await untilAnyAborted([gone.signal, api.stopping], (signal) =>
      api.mesh.ping(body.node, { timeoutMs, signal }),
    );
    return request.json({
      schema_version: STATUS_SCHEMA_VERSION,
      id: reply.id,
      rtt_ms: reply.rttMs,
      address: reply.address,
      direction: reply.direction,
    });
  } finally {
    outgoing.off('close', onClose);
  }
}

/** The node stops once the answer has left, so that the caller sees it. */
function quit(api: ApiContext, request: ApiRequest): Response {
  const { incoming, outgoing } = request.env;
  api.log.info('api-quit', { from: incoming.socket.remoteAddress ?? '' });
  outgoing.once('close', () => api.quit());
  return request.json({ detail: 'Quit signal received' });
}
