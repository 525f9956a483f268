import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkRequest, type GuardOptions } from '../../src/api/guard.js';
import { ExoError } from '../../src/shared/index.js';
import { rawRequest, startApi } from './harness.js';

const LOCAL: GuardOptions = {
  host: '127.0.0.1',
  port: 52415,
  allowedHosts: ['exo.example.org'],
  machineHosts: () => ['mac1', 'mac1.local', '192.168.1.5', 'fe80::1'],
};
const OPEN: GuardOptions = { ...LOCAL, host: '0.0.0.0' };

/** The code that a request is refused with, or undefined. */
function verdict(
  options: GuardOptions,
  headers: Record<string, string>,
  request: { method?: string; path?: string } = {},
): string | undefined {
  try {
    checkRequest(options, {
      method: 'GET',
      path: '/topology',
      ...request,
      headers: { host: 'localhost:52415', ...headers },
    });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ExoError, String(error));
    return error.code;
  }
}

describe('guard, host', () => {
  it('takes the names of loopback, with any port', () => {
    for (const host of [
      'localhost',
      'LOCALHOST:52415',
      '127.0.0.1:9999',
      '[::1]:52415',
      'localhost.:52415',
      'exo.example.org',
    ]) {
      assert.equal(verdict(LOCAL, { host }), undefined, host);
    }
  });

  it('refuses any other name', () => {
    for (const host of [
      'evil.example',
      '127.0.0.1.evil.example',
      'localhost@evil.example',
      'evil.example:52415',
      '127.0.0.2',
      '192.168.1.5',
      'mac1.local',
      '0.0.0.0',
      '',
      'localhost:port',
      'localhost, evil.example',
      '[::1',
    ]) {
      assert.equal(verdict(LOCAL, { host }), 'http-forbidden', host);
    }
  });

  it('takes the names of this machine when bound to more than loopback', () => {
    for (const host of ['mac1', 'MAC1.local:52415', '192.168.1.5:52415', '[fe80::1]', 'localhost']) {
      assert.equal(verdict(OPEN, { host }), undefined, host);
    }
    for (const host of ['mac2', '192.168.1.6', 'evil.example']) {
      assert.equal(verdict(OPEN, { host }), 'http-forbidden', host);
    }
  });
});

describe('guard, origin', () => {
  it('takes none, the same, and loopback with our port', () => {
    for (const origin of ['http://localhost:52415', 'http://127.0.0.1:52415', 'http://[::1]:52415']) {
      assert.equal(verdict(LOCAL, { origin }), undefined, origin);
    }
    assert.equal(verdict(LOCAL, { host: 'localhost:9999', origin: 'http://localhost:9999' }), undefined);
  });

  it('refuses every other page', () => {
    for (const origin of [
      'null',
      'http://evil.example',
      'http://localhost',
      'http://localhost:3000',
      'http://localhost:52415.evil.example',
      'https://127.0.0.1',
      'file://',
      'chrome-extension://abc',
      'nonsense',
      '',
    ]) {
      assert.equal(verdict(LOCAL, { origin }), 'http-forbidden', origin);
    }
  });

  it('refuses requests of other pages that name no origin, but lets a link open the page', () => {
    for (const site of ['cross-site', 'same-site']) {
      assert.equal(verdict(LOCAL, { 'sec-fetch-site': site }), 'http-forbidden');
      const link = { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
      assert.equal(verdict(LOCAL, link, { path: '/' }), undefined);
      assert.equal(verdict(LOCAL, link, { path: '/', method: 'POST' }), 'http-forbidden');
      assert.equal(verdict(LOCAL, { ...link, 'sec-fetch-dest': 'iframe' }, { path: '/' }), 'http-forbidden');
    }
    for (const site of ['same-origin', 'none'])
      assert.equal(verdict(LOCAL, { 'sec-fetch-site': site }), undefined);
  });
});

describe('guard, on the wire', () => {
  it('answers an evil Host with 403 in the shape of OpenAI', async (t) => {
    const api = await startApi(t);
    for (const path of ['/', '/topology', '/v1/models', '/nothing', '/healthcheck']) {
      const answer = await rawRequest(
        api.port,
        `GET ${path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 403 /, path);
      const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));
      assert.equal(body.error.code, 'http-forbidden');
      assert.equal(body.error.type, 'permission_error');
      assert.doesNotMatch(answer, /access-control-allow-origin/i);
    }
  });

  it('refuses a broken, doubled or missing Host', async (t) => {
    const api = await startApi(t);
    for (const [head, status] of [
      ['GET / HTTP/1.1\r\nHost: a b\r\n', 40],
      ['GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n', 40],
      ['GET / HTTP/1.1\r\n', 400],
      ['GET / HTTP/1.0\r\n', 40],
      ['GET http://127.0.0.1/topology HTTP/1.1\r\nHost: evil.example\r\n', 403],
    ] as const) {
      const answer = await rawRequest(api.port, `${head}Connection: close\r\n\r\n`);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status}`), head);
    }
  });

  it('answers an evil Origin with 403 and never a wildcard', async (t) => {
    const api = await startApi(t);
    const evil = await api.post('/v1/chat/completions', '{}', { origin: 'http://evil.example' });
    assert.equal(evil.status, 403);
    assert.equal(evil.headers.get('access-control-allow-origin'), null);
    assert.equal(api.chat.requests.length, 0);
    const own = await api.get('/topology', { origin: `http://localhost:${api.port}` });
    assert.equal(own.status, 200);
    assert.equal(own.headers.get('access-control-allow-origin'), `http://localhost:${api.port}`);
    assert.match(own.headers.get('vary') ?? '', /Origin/);
    const preflight = await fetch(`${api.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 403);
  });

  it('takes the content types of curl, but a form’s only without an Origin', async (t) => {
    const api = await startApi(t);
    const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] });
    const send = async (type: string | undefined, origin?: string) =>
      (
        await fetch(`${api.url}/v1/chat/completions`, {
          method: 'POST',
          body: new TextEncoder().encode(body),
          headers: {
            ...(type === undefined ? {} : { 'content-type': type }),
            ...(origin === undefined ? {} : { origin }),
          },
        })
      ).status;
    for (const type of [
      undefined,
      'application/json; charset=utf-8',
      'application/x-www-form-urlencoded',
      'text/plain',
    ]) {
      assert.equal(await send(type), 200, type);
    }
    assert.equal(await send('application/json', api.url), 200);
    assert.equal(await send('application/x-www-form-urlencoded', api.url), 415);
    assert.equal(await send('text/plain', api.url), 415);
    assert.equal(await send('multipart/form-data; boundary=x'), 415);
    const gzip = await api.post('/v1/chat/completions', body, { 'content-encoding': 'gzip' });
    assert.equal(gzip.status, 415);
  });
});
