/** Who may use which endpoint, route by route. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import { ACCESS, type Access, authorize, type Caller, callerOf } from '../../src/api/access.js';
import { allRoutes } from '../../src/api/app.js';
import type { ApiContext } from '../../src/api/route.js';
import { apiTokenOf, BearerTokens } from '../../src/api/tokens.js';
import { type ExoError, isLoopback } from '../../src/shared/index.js';
import { json, OWNER_TOKEN, startApi, type TestApi } from './harness.js';
import { StillControl, StillSessions } from './still-trust.js';

const MESH_TOKEN = apiTokenOf(Buffer.alloc(32, 7));
const SESSION_TOKEN = 'session-token-of-a-key';
const newTrust = () => ({
  meshTokens: () => [MESH_TOKEN, 'text-of-EXO_AUTH_TOKEN'],
  sessions: new StillSessions([SESSION_TOKEN]),
  control: new StillControl(),
});
const tokens = new BearerTokens(OWNER_TOKEN, newTrust());

/** The norm: every endpoint, and who may. A new route has to be added here by hand. */
const TABLE: Readonly<Record<Access, readonly string[]>> = {
  open: [
    'GET /healthcheck',
    'POST /auth/challenge',
    'POST /auth/connect',
    'POST /v1/auth/challenge',
    'POST /v1/auth/connect',
  ],
  local: [
    'GET /',
    'GET /topology',
    'GET /v1/topology',
    'GET /v1/peers',
    'GET /v1/plan',
    'POST /v1/plan',
    'GET /v1/status',
    'POST /v1/ping',
    'GET /metrics',
    'GET /v1/tunnels',
    'GET /v1/tunnels/:name',
    'GET /v1/events',
    'GET /v1/models',
    'GET /models',
    'GET /v1/models/:id{.+}',
    'GET /initial_models',
    'GET /modelpool',
    'GET /v1/download/progress',
    'POST /v1/chat/completions',
    'POST /chat/completions',
    'POST /v1/chat/token/encode',
    'POST /chat/token/encode',
    'POST /v1/image/generations',
    'POST /create_animation',
  ],
  trusted: [
    'POST /quit',
    'POST /download',
    'POST /v1/download',
    'DELETE /models/:id{.+}',
    'DELETE /auth/disconnect',
    'DELETE /v1/auth/disconnect',
  ],
  owner: [
    'POST /v1/tunnels',
    'POST /v1/tunnels/reload',
    'DELETE /v1/tunnels/:name',
    'GET /v1/keys',
    'POST /v1/keys/show',
    'POST /v1/keys/new',
    'POST /v1/keys/join',
    'POST /v1/keys/rotate',
    'POST /v1/keys/invite',
    'DELETE /v1/keys/:id',
    'GET /v1/trust',
    'POST /v1/trust',
    'POST /v1/trust/join',
    'DELETE /v1/trust/:id',
  ],
};

const CREDENTIALS: Readonly<Record<Caller, string | undefined>> = {
  owner: OWNER_TOKEN,
  mesh: MESH_TOKEN,
  session: SESSION_TOKEN,
  loopback: undefined,
  stranger: 'a token that nobody knows',
};

describe('access', () => {
  it('is told for every route, and nothing that changes state is open to a local process without a token', () => {
    const found: Record<Access, string[]> = { open: [], local: [], trusted: [], owner: [] };
    for (const { method, paths, access } of allRoutes({ trust: {} } as unknown as ApiContext)) {
      for (const path of paths) found[access].push(`${method} ${path}`);
    }
    for (const access of Object.keys(TABLE) as Access[]) {
      assert.deepEqual(found[access].sort(), [...TABLE[access]].sort(), access);
    }
  });

  it('lets each caller into its classes and no other, with 401 for no token and 403 for one too weak', () => {
    for (const access of Object.keys(ACCESS) as Access[]) {
      for (const [caller, token] of Object.entries(CREDENTIALS) as Array<[Caller, string | undefined]>) {
        const asking = {
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
          socket: { remoteAddress: caller === 'stranger' ? '192.168.1.77' : '127.0.0.1' },
        };
        const enter = () => authorize(access, tokens, asking);
        if (ACCESS[access].has(caller)) enter();
        else {
          const code = caller === 'mesh' || caller === 'session' ? 'http-forbidden' : 'http-unauthorized';
          assert.throws(enter, (error: ExoError) => error.code === code, `${caller} at ${access}`);
        }
      }
    }
  });

  it('takes what came through a proxy for what it is: not from this machine', () => {
    const socket = { remoteAddress: '127.0.0.1' };
    assert.equal(callerOf(tokens, { headers: {}, socket }), 'loopback');
    for (const headers of [
      { 'x-forwarded-for': '203.0.113.9' },
      { forwarded: 'for=203.0.113.9' },
      { via: '1.1 proxy' },
      { 'x-real-ip': '203.0.113.9' },
    ]) {
      assert.equal(callerOf(tokens, { headers, socket }), 'stranger', JSON.stringify(headers));
    }
    for (const remoteAddress of ['::1', '::ffff:127.0.0.1']) {
      assert.equal(callerOf(tokens, { headers: {}, socket: { remoteAddress } }), 'loopback');
    }
    for (const remoteAddress of [undefined, '', '10.0.0.1', '::ffff:10.0.0.1', 'fe80::1']) {
      assert.equal(callerOf(tokens, { headers: {}, socket: { remoteAddress } }), 'stranger', remoteAddress);
    }
  });

  it('reads no token out of what is not a bearer token', () => {
    for (const authorization of [
      '',
      'Bearer',
      'Bearer ',
      `Basic ${OWNER_TOKEN}`,
      `Bearer ${OWNER_TOKEN} x`,
      `Bearer ${OWNER_TOKEN}x`,
      `Bearer ${OWNER_TOKEN.slice(0, -1)}`,
      OWNER_TOKEN,
      `Bearer ${'x'.repeat(100_000)}`,
    ]) {
      assert.equal(tokens.holder(authorization), undefined, authorization.slice(0, 60));
    }
    assert.equal(tokens.holder(`bearer   ${OWNER_TOKEN}`), 'owner');
    assert.equal(tokens.holder('Bearer text-of-EXO_AUTH_TOKEN'), 'mesh');
    assert.equal(new BearerTokens('').holder('Bearer '), undefined);
    assert.equal(new BearerTokens('').holder('Bearer undefined'), undefined);
  });

  it('makes the token of the API from the mesh key so that it is no mesh key', () => {
    const secret = Buffer.alloc(32, 1);
    assert.match(apiTokenOf(secret), /^exoapi-[\w-]{43}$/);
    assert.equal(apiTokenOf(secret), apiTokenOf(Buffer.alloc(32, 1)));
    assert.notEqual(apiTokenOf(secret), apiTokenOf(Buffer.alloc(32, 2)));
    assert.ok(!apiTokenOf(secret).includes(secret.toString('base64url')));
  });
});

describe('access, on the wire', () => {
  /** What each caller gets from each route of the table: statuses, with the caller's headers. */
  async function statuses(api: TestApi, headers: Record<string, string>, host = '127.0.0.1') {
    const seen = new Map<string, number>();
    for (const route of Object.values(TABLE).flat()) {
      const [method = '', path = ''] = route.split(' ');
      // The first never ends, the others end something that the next rows need.
      if (['/v1/events', '/quit', '/auth/disconnect', '/v1/auth/disconnect'].includes(path)) continue;
      seen.set(route, await status(api, host, method, path.replace(/:\w+(\{[^}]*\})?/, 'x'), headers));
    }
    return seen;
  }

  it('gives a local process without a token nothing of the classes trusted and owner', async (t) => {
    const trust = newTrust();
    const api = await startApi(t, {}, { trust });
    const seen = await statuses(api, {});
    for (const route of [...TABLE.trusted, ...TABLE.owner]) {
      if (seen.has(route)) assert.equal(seen.get(route), 401, route);
    }
    for (const route of [...TABLE.open, ...TABLE.local]) {
      if (seen.has(route)) assert.notEqual(seen.get(route), 401, route);
    }
    for (const path of ['/auth/disconnect', '/v1/auth/disconnect']) {
      assert.equal(await status(api, '127.0.0.1', 'DELETE', path, {}), 401);
    }
    assert.equal(await status(api, '127.0.0.1', 'POST', '/quit', {}), 401);
    assert.equal(api.quits(), 0);
    assert.deepEqual(trust.control.calls, []);
  });

  it('gives a proxied stranger the open endpoints alone, and does not tell what paths there are', async (t) => {
    const trust = newTrust();
    const api = await startApi(t, {}, { trust });
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    const seen = await statuses(api, headers);
    for (const [route, code] of seen)
      assert.equal(code === 401, !TABLE.open.includes(route), `${route}: ${code}`);
    assert.equal(await status(api, '127.0.0.1', 'GET', '/nothing', headers), 401);
    assert.equal(await status(api, '127.0.0.1', 'PUT', '/v1/keys', headers), 401);
  });

  it('lets the owner alone to keys, trust and tunnels', async (t) => {
    const trust = newTrust();
    const api = await startApi(t, {}, { trust });
    for (const token of [MESH_TOKEN, SESSION_TOKEN]) {
      const seen = await statuses(api, { authorization: `Bearer ${token}` });
      for (const route of TABLE.owner) assert.equal(seen.get(route), 403, route);
    }
    assert.deepEqual(trust.control.calls, []);
    const keys = await api.get('/v1/keys', { authorization: `Bearer ${OWNER_TOKEN}` });
    assert.equal(keys.status, 200);
    assert.equal(keys.headers.get('cache-control'), 'no-store');
  });

  it('refuses to listen beyond loopback while nobody is named, and says what to do (A2)', async (t) => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.invalid']) {
      await assert.rejects(startApi(t, { host }), (error: ExoError) => {
        assert.equal(error.code, 'option-missing');
        assert.match(error.message, /exo key new.*EXO_AUTH_TOKEN.*--ssh-authorized-keys.*ssh -L/);
        return true;
      });
    }
    await assert.rejects(startApi(t, { host: '0.0.0.0' }, { trust: { meshTokens: () => [] } }));
    const api = await startApi(t, { host: '0.0.0.0' }, { trust: newTrust() });
    assert.equal((await fetch(`http://127.0.0.1:${api.port}/topology`)).status, 200);
  });

  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ address, family }) => family === 'IPv4' && !isLoopback(address))?.address;

  it('asks other machines for a token, on an address that is not loopback (A2)', {
    skip: own === undefined ? 'this machine has no address but loopback' : false,
  }, async (t) => {
    const api = await startApi(t, { host: '0.0.0.0' }, { trust: newTrust() });
    const host = own ?? '';
    const get = (headers: Record<string, string>, path = '/topology') =>
      status(api, host, 'GET', path, headers);
    assert.equal(await get({}), 401);
    assert.equal(await get({}, '/'), 401);
    assert.equal(await get({}, '/v1/tunnels'), 401);
    assert.equal(await get({}, '/metrics'), 401);
    assert.equal(await get({}, '/healthcheck'), 200);
    assert.equal(await get({ authorization: 'Bearer wrong' }), 401);
    for (const token of [OWNER_TOKEN, MESH_TOKEN, SESSION_TOKEN]) {
      assert.equal(await get({ authorization: `Bearer ${token}` }), 200);
    }
    assert.equal(await get({ host: 'evil.example', authorization: `Bearer ${OWNER_TOKEN}` }), 403);
    const refused = await json(await fetch(`http://${host}:${api.port}/topology`));
    assert.match(refused.detail, /run file.*exo key show/);
  });

  it('writes no token into its log', async (t) => {
    const lines: string[] = [];
    const note = (event: string, fields?: object) => void lines.push(JSON.stringify([event, fields]));
    const log = { trace: note, debug: note, info: note, warn: note, error: note, child: () => log };
    const api = await startApi(t, {}, { trust: newTrust(), log: log as never });
    for (const token of [OWNER_TOKEN, MESH_TOKEN, 'a-wrong-token-of-somebody']) {
      await (await api.get('/v1/keys', { authorization: `Bearer ${token}` })).text();
    }
    await (
      await api.post('/v1/keys/join', { key: 'exo1-secret' }, { authorization: `Bearer ${OWNER_TOKEN}` })
    ).text();
    assert.ok(lines.length >= 4);
    assert.doesNotMatch(lines.join('\n'), /owner-token|exoapi-|a-wrong-token|exo1-secret/);
  });
});

/** The status of one request; node:http, because fetch sets Host itself. */
function status(
  api: TestApi,
  host: string,
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host,
        port: api.port,
        method,
        path,
        agent: false,
        headers: { ...(method === 'POST' ? { 'content-type': 'application/json' } : {}), ...headers },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    request.on('error', reject);
    request.end(method === 'POST' ? '[]' : undefined);
  });
}
