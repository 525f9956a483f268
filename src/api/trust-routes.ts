/**
 * The endpoints of keys and trusted nodes: for the owner of the node alone, because who has a mesh key is a peer. There
 * only where the node has trust. `exo key` and `exo trust` use them while a node runs.
 */
import * as z from 'zod';
import { LIMITS } from '../shared/index.js';
import { readJsonBody } from './body.js';
import { STATUS_SCHEMA_VERSION } from './mesh-json.js';
import { HttpError } from './openai-errors.js';
import type { TrustControl } from './ports.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { invitationJson, joinedJson, keyJson, shownKeyJson, trustedJson } from './trust-json.js';

const text = (what: string, charsMax: number) =>
  z
    .string({ error: `must be ${what}` })
    .min(1, { error: 'must not be empty' })
    .max(charsMax, { error: `must have at most ${charsMax} characters` });
const object = { error: 'must be a JSON object' };

const joinKeyBody = z.looseObject(
  {
    key: text('a mesh key', LIMITS.secretCharsMax),
    replace: z.boolean({ error: 'must be true or false' }).nullish(),
  },
  object,
);
const rotateBody = z.looseObject(
  {
    grace_ms: z
      .number({ error: 'must be a number of milliseconds' })
      .min(0, { error: 'must not be negative' })
      .max(LIMITS.meshKeyGraceMsMax, { error: `must be at most ${LIMITS.meshKeyGraceMsMax}` })
      .nullish(),
  },
  object,
);
const inviteBody = z.looseObject({ address: text('host:port', 300).nullish() }, object);
const trustBody = z.looseObject(
  {
    id: text('the id of a node', LIMITS.nodeIdCharsMax),
    fingerprint: text('a fingerprint as SHA256:…', LIMITS.fingerprintCharsMax),
    how: z.literal('connect', { error: 'must be connect, or absent' }).nullish(),
  },
  object,
);
const joinBody = z.looseObject({ invitation: text('an invitation', LIMITS.secretCharsMax) }, object);

type Handler = (control: TrustControl, request: ApiRequest) => object | Promise<object>;

/** `/v1/keys`, `/v1/keys/…`, `/v1/trust`, `/v1/trust/join` and `/v1/trust/:id`. */
export function trustRoutes(api: ApiContext): Route[] {
  const route = (method: Route['method'], path: string, handler: Handler): Route => ({
    method,
    paths: [path],
    access: 'owner',
    handle: async (request) => {
      const { control } = api.trust;
      if (control === undefined) throw new HttpError('http-not-found', 'this node keeps no keys');
      const answer = await handler(control, request);
      if (method !== 'GET') api.log.info('trust-command', { method, path: request.req.path });
      return request.json({ schema_version: STATUS_SCHEMA_VERSION, ...answer }, 200, NO_STORE);
    },
  });
  return [
    route('GET', '/v1/keys', (control) => ({ keys: control.keys().map(keyJson) })),
    // Not GET: what is shown here stays in no cache and no history.
    route('POST', '/v1/keys/show', (control) => ({ keys: control.showKeys().map(shownKeyJson) })),
    route('POST', '/v1/keys/new', async (control) => ({ key: keyJson(await control.newKey()) })),
    route('POST', '/v1/keys/join', async (control, request) => {
      const { key, replace } = await body(request, joinKeyBody);
      return { key: keyJson(await control.joinKey(key, { replace: replace === true })) };
    }),
    route('POST', '/v1/keys/rotate', async (control, request) => {
      const { grace_ms: graceMs } = await body(request, rotateBody);
      return {
        key: keyJson(await control.rotateKey(graceMs ?? undefined)),
        keys: control.keys().map(keyJson),
      };
    }),
    route('POST', '/v1/keys/invite', async (control, request) => {
      const { address } = await body(request, inviteBody);
      return invitationJson(await control.invite(address ?? undefined));
    }),
    route('DELETE', '/v1/keys/:id', async (control, request) => {
      await control.forgetKey(request.req.param('id') ?? '');
      return { keys: control.keys().map(keyJson) };
    }),
    route('GET', '/v1/trust', (control) => ({
      self: control.self(),
      trusted: control.trusted().map(trustedJson),
    })),
    route('POST', '/v1/trust', async (control, request) => {
      const { id, fingerprint, how } = await body(request, trustBody);
      return { node: trustedJson(await control.trust(id, fingerprint, how ?? undefined)) };
    }),
    route('POST', '/v1/trust/join', async (control, request) => {
      const { invitation } = await body(request, joinBody);
      return joinedJson(await control.join(invitation));
    }),
    route('DELETE', '/v1/trust/:id', async (control, request) => ({
      node: trustedJson(
        await control.distrust(request.req.param('id') ?? '', readHow(request.req.query('how'))),
      ),
    })),
  ];
}

/** `?how=connect`: only what `exo connect` gave is taken back. */
function readHow(how: string | undefined): 'connect' | undefined {
  if (how === undefined || how === 'connect') return how;
  throw new HttpError('http-invalid', 'must be connect, or absent', { param: 'how' });
}

const NO_STORE = { 'cache-control': 'no-store' };

function body<T>(request: ApiRequest, schema: z.ZodType<T>): Promise<T> {
  return readJsonBody(request.env.incoming, schema, LIMITS.httpSmallBodyBytesMax);
}
