/** Sessions by ssh key over HTTP: cilo's shapes, and what goes wrong. The cryptography is tested in test/trust. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS, Sheds, VirtualClock } from '../../src/shared/index.js';
import { json, OWNER_TOKEN, startApi, type TestApi } from './harness.js';
import { StillSessions } from './still-trust.js';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@mac1';

const end = (api: TestApi, token: string, path = '/auth/disconnect') =>
  fetch(`${api.url}${path}`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });

describe('auth', () => {
  for (const prefix of ['', '/v1']) {
    it(`opens a session by challenge and signature under ${prefix}/auth, and ends it`, async (t) => {
      const sessions = new StillSessions();
      const api = await startApi(t, {}, { trust: { sessions } });
      const given = await api.post(`${prefix}/auth/challenge`, { public_key: KEY });
      assert.equal(given.headers.get('cache-control'), 'no-store');
      const challenge = await json(given);
      assert.deepEqual(Object.keys(challenge).sort(), ['challenge', 'expires_at']);
      assert.equal(challenge['expires_at'], '2023-11-14T22:18:20.000Z');
      const answer = {
        public_key: KEY,
        challenge: challenge['challenge'],
        signature: 'good',
        signature_format: 'ssh-ed25519',
      };
      const session = await json(await api.post(`${prefix}/auth/connect`, answer));
      assert.deepEqual(Object.keys(session).sort(), ['expires_at', 'token']);
      assert.deepEqual(sessions.answers, [
        {
          publicKey: KEY,
          challenge: challenge['challenge'],
          signature: 'good',
          signatureFormat: 'ssh-ed25519',
        },
      ]);
      assert.equal((await api.post(`${prefix}/auth/connect`, answer)).status, 403, 'single use');
      const token = String(session['token']);
      const proxied = { 'x-forwarded-for': '203.0.113.9', authorization: `Bearer ${token}` };
      assert.equal((await api.get('/topology', proxied)).status, 200);
      assert.deepEqual(await json(await end(api, token, `${prefix}/auth/disconnect`)), {
        status: 'disconnected',
      });
      assert.equal((await end(api, token, `${prefix}/auth/disconnect`)).status, 401);
      assert.equal((await api.get('/topology', proxied)).status, 401);
    });
  }

  it('ends the event stream of a session that has ended', async (t) => {
    const clock = new VirtualClock();
    const sessions = new StillSessions(['a-session']);
    const api = await startApi(t, { clock }, { trust: { sessions } });
    const headers = { 'x-forwarded-for': '203.0.113.9', authorization: 'Bearer a-session' };
    const reader = (await api.get('/v1/events', headers)).body!.getReader();
    assert.equal((await reader.read()).done, false);
    await clock.advance(LIMITS.httpEventRefreshMs);
    assert.equal((await reader.read()).done, false);
    assert.equal((await end(api, 'a-session')).status, 200);
    await clock.advance(LIMITS.httpEventRefreshMs);
    // What was sent before the end; without it this would never resolve.
    while (!(await reader.read()).done);
    assert.equal(api.mesh.listeners, 0);
  });

  it('is not there where the operator named no file of keys', async (t) => {
    const api = await startApi(t);
    for (const path of ['/auth/challenge', '/auth/connect', '/v1/auth/challenge']) {
      assert.equal((await api.post(path, { public_key: KEY })).status, 404, path);
    }
    assert.equal((await end(api, OWNER_TOKEN)).status, 404);
  });

  it('tells what is wrong: 400 for what has not the shape, 403 for a signature, in the two forms', async (t) => {
    const api = await startApi(t, {}, { trust: { sessions: new StillSessions() } });
    for (const [path, body] of [
      ['challenge', '{'],
      ['challenge', {}],
      ['challenge', { public_key: 5 }],
      ['challenge', { public_key: 'x'.repeat(9_000) }],
      ['challenge', { public_key: 'no key' }],
      ['connect', { public_key: KEY }],
      ['connect', { public_key: KEY, challenge: 'x', signature: '' }],
      ['connect', { public_key: KEY, challenge: 'x'.repeat(200), signature: 'x' }],
    ] as const) {
      const cilo = await api.post(`/auth/${path}`, body);
      assert.equal(cilo.status, 400, JSON.stringify(body).slice(0, 80));
      const { error, detail } = await json(cilo);
      assert.equal(typeof error, 'string');
      assert.equal(error as unknown as string, detail);
      const own = await api.post(`/v1/auth/${path}`, body);
      assert.equal((await json(own)).error.code, 'http-invalid');
    }
    const wrong = { public_key: KEY, challenge: 'bm9uZQ==', signature: 'bad' };
    assert.equal((await api.post('/auth/connect', wrong)).status, 403);
    assert.equal((await json(await api.post('/v1/auth/connect', wrong))).error.code, 'auth-failed');
    assert.equal((await end(api, OWNER_TOKEN)).status, 400, 'no session');
  });

  it('holds back a source that tries too often, and counts it', async (t) => {
    const sheds = new Sheds();
    const clock = new VirtualClock();
    const api = await startApi(t, { clock }, { trust: { sessions: new StillSessions() }, sheds });
    const statuses: number[] = [];
    for (let index = 0; index < 25; index++) {
      statuses.push((await api.post('/auth/challenge', { public_key: KEY })).status);
    }
    assert.deepEqual(statuses, [...Array(20).fill(200), ...Array(5).fill(429)]);
    assert.equal(sheds.count('http-sign-in-rate'), 5);
    await clock.advance(1_000);
    assert.equal((await api.post('/auth/challenge', { public_key: KEY })).status, 200);
    assert.equal((await api.get('/topology')).status, 200, 'others are not held back');
  });
});
