import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { createApiServer } from '../../src/api/index.js';
import { HTTP_TIMEOUTS, HttpListener } from '../../src/api/listener.js';
import {
  type Clock,
  type ExoError,
  silentLogger,
  systemClock,
  VirtualClock,
} from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { promise } from '../support/promise.js';
import { json, OWNER_TOKEN, rawRequest, ScriptedChat, StillMesh, startApi, until } from './harness.js';

function serverOn(host: string, port: number, clock: Clock = systemClock) {
  return createApiServer(
    { host, port, responseTimeoutMs: 1_000, ownerToken: OWNER_TOKEN },
    {
      mesh: new StillMesh(),
      chat: new ScriptedChat(),
      trust: { meshTokens: () => ['a token of the mesh'] },
      clock,
      log: silentLogger,
      quit: () => undefined,
    },
  );
}

/** Questions that a server has read; it tells of the first as HTTP lets it, with 100 Continue. */
interface HeldQuestions {
  /** Of the answers so far. */
  statuses(): number[];
  /** Of all answers, once the server has closed. */
  readonly answered: Promise<number[]>;
  leave(): void;
}

/** Asks `times` for the health on one connection. Resolves when the server has the questions. */
async function heldQuestions(port: number, times = 1): Promise<HeldQuestions> {
  const question = (more: string) => `GET /healthcheck HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`;
  const first = question(
    times === 1 ? 'Expect: 100-continue\r\nConnection: close\r\n' : 'Expect: 100-continue\r\n',
  );
  const socket = connect(port, '127.0.0.1', () => socket.write(first + question('').repeat(times - 1)));
  let received = '';
  socket.setEncoding('utf8').on('data', (text) => {
    received += text;
  });
  socket.on('error', () => undefined);
  const statuses = () =>
    [...received.matchAll(/HTTP\/1\.1 (\d+)/g)]
      .map(([, status]) => Number(status))
      .filter((status) => status !== 100);
  const answered = new Promise<number[]>((resolve) => socket.once('close', () => resolve(statuses())));
  await until(() => received.startsWith('HTTP/1.1 100 '));
  return { statuses, answered, leave: () => socket.destroy() };
}

describe('server', () => {
  it('names the option when its port is taken, and starts once it is free', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const bound = other.address();
    const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
    const server = serverOn('127.0.0.1', port);
    await assert.rejects(server.start(), (error: ExoError) => {
      assert.equal(error.code, 'port-in-use');
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*--chatgpt-api-port`));
      return true;
    });
    await server.stop();
    await new Promise((resolve) => other.close(resolve));
    await server.start();
    assert.equal(server.address.port, port);
    await server.stop();
  });

  it('names the option when its host is not of this machine', async () => {
    await assert.rejects(serverOn('192.0.2.1', 0).start(), (error: ExoError) => {
      assert.equal(error.code, 'option-invalid');
      assert.match(error.message, /--chatgpt-api-host/);
      return true;
    });
  });

  it('starts and stops twice without harm, and again after that', async () => {
    const server = serverOn('127.0.0.1', 0);
    await server.start();
    const { port } = server.address;
    await server.start();
    assert.equal(server.address.port, port);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    await server.start();
    assert.equal((await fetch(`http://127.0.0.1:${server.address.port}/healthcheck`)).status, 200);
    await server.stop();
  });

  it('holds its port and its questions from bind on, and answers them when it is started', async () => {
    const server = serverOn('127.0.0.1', 0);
    await server.bind();
    const { port } = server.address;
    const early = await heldQuestions(port);
    const gone = await heldQuestions(port);
    gone.leave();
    assert.deepEqual(early.statuses(), [], 'it claims no health before it is started');
    await server.start();
    assert.deepEqual(await early.answered, [200]);
    assert.equal(server.address.port, port);
    await server.stop();
    const bound = serverOn('127.0.0.1', port);
    await bound.bind();
    const stopped = await heldQuestions(port);
    await bound.stop();
    assert.deepEqual(await stopped.answered, [503], 'who waits for a node that does not come hears of it');
  });

  it('holds one question of each connection, whatever else is sent behind it', async () => {
    const server = serverOn('127.0.0.1', 0);
    await server.bind();
    const { answered } = await heldQuestions(server.address.port, 50);
    await server.start();
    assert.deepEqual(await answered, [200, 503]);
    await server.stop();
  });

  it('says so when a start takes too long', async () => {
    const clock = new VirtualClock();
    const server = serverOn('127.0.0.1', 0, clock);
    await server.bind();
    const asked = fetch(`http://127.0.0.1:${server.address.port}/healthcheck`);
    let early: Response | undefined;
    void asked.then((answer) => {
      early = answer;
    });
    await until(() => {
      clock.advance(1_000);
      return early !== undefined;
    });
    assert.equal(early?.status, 503);
    assert.equal(early?.headers.get('retry-after'), '2');
    assert.equal(early?.headers.get('x-content-type-options'), 'nosniff');
    assert.deepEqual((await json(early!)).error, {
      message: 'this node is starting; ask again in a moment',
      type: 'server_error',
      param: null,
      code: 'overloaded',
    });
    await server.stop();
  });

  it('stops at once with idle, silent and half-spoken connections', async (t) => {
    const api = await startApi(t);
    await (await api.get('/healthcheck')).text();
    const silent = connect(api.port, '127.0.0.1');
    const half = connect(api.port, '127.0.0.1', () => half.write('GET / HT'));
    for (const socket of [silent, half]) socket.on('error', () => undefined);
    await Promise.all(
      [silent, half].map((socket) => new Promise((resolve) => socket.once('connect', resolve))),
    );
    await (await api.get('/healthcheck')).text();
    const startMs = performance.now();
    await api.server.stop();
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < inTime(400), `${tookMs} ms`);
    await assert.rejects(api.get('/healthcheck'));
  });

  it('answers unknown paths and wrong methods in the shape of OpenAI', async (t) => {
    const api = await startApi(t);
    const unknown = await api.get('/v1/nothing');
    assert.equal(unknown.status, 404);
    assert.deepEqual((await json(unknown)).error, {
      message: 'there is no /v1/nothing; chat is POST /v1/chat/completions',
      type: 'invalid_request_error',
      param: null,
      code: 'http-not-found',
    });
    const wrong = await api.get('/v1/chat/completions');
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'OPTIONS, POST');
    await wrong.text();
    assert.equal((await api.post('/topology', {})).status, 405);
    assert.equal((await api.get('/quit')).status, 405);
  });

  it('answers HEAD and OPTIONS', async (t) => {
    const api = await startApi(t);
    const head = await fetch(`${api.url}/topology`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
    const options = await fetch(`${api.url}/v1/chat/completions`, { method: 'OPTIONS' });
    assert.equal(options.status, 204);
    assert.equal(options.headers.get('allow'), 'OPTIONS, POST');
    assert.equal(options.headers.get('access-control-allow-origin'), null);
  });

  it('sends its security headers with every answer', async (t) => {
    const api = await startApi(t);
    for (const path of ['/', '/topology', '/nothing', '/modelpool']) {
      const { headers } = await api.get(path);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
      assert.equal(headers.get('x-frame-options'), 'DENY', path);
      assert.equal(headers.get('referrer-policy'), 'no-referrer', path);
    }
    const page = await api.get('/');
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
    assert.match(page.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
    assert.match(await page.text(), /^<!doctype html>/);
  });

  it('answers what is not HTTP, and headers without end, in its own shape', async (t) => {
    const api = await startApi(t);
    const nonsense = await rawRequest(api.port, 'EXO\x01\x01\x00\x00\x00\x00\r\n\r\n');
    assert.match(nonsense, /^HTTP\/1\.1 400 .*"code":"http-invalid"/s);
    const large = await rawRequest(
      api.port,
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    );
    assert.match(large, /^HTTP\/1\.1 431 /);
  });

  it('never writes a second answer into a stream', async (t) => {
    const api = await startApi(t);
    api.chat.endless = true;
    const body = '{"stream":true,"messages":[{"role":"user","content":"x"}]}';
    const answer = rawRequest(
      api.port,
      `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}NONSENSE\r\n\r\n`,
    );
    const text = await answer.catch((error: Error) => error.message);
    assert.equal(text.match(/HTTP\/1\.1/g)?.length ?? 0, text.startsWith('HTTP') ? 1 : 0);
    await until(() => api.chat.requests.every(({ signal }) => signal.aborted));
  });
});

describe('server, slow clients (A1)', () => {
  const TIMEOUTS = {
    ...HTTP_TIMEOUTS,
    headersTimeoutMs: 1_500,
    requestTimeoutMs: 1_800,
    checkIntervalMs: 100,
  };

  it('is rid of 200 that dribble headers, and serves others meanwhile within 500 ms', async (t) => {
    const api = await startApi(t, { timeouts: TIMEOUTS });
    const startMs = performance.now();
    let closed = 0;
    const sockets: Socket[] = [];
    for (let index = 0; index < 200; index++) {
      const socket = connect(api.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: local'));
      socket.on('error', () => undefined);
      socket.on('data', () => undefined);
      socket.on('close', () => {
        closed += 1;
      });
      sockets.push(socket);
    }
    const dribble = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('x');
    }, 50);
    t.after(() => {
      clearInterval(dribble);
      for (const socket of sockets) socket.destroy();
    });
    // This process plays the 200 clients too: only once they are all there does it measure the server.
    await Promise.all(
      sockets.map((socket) =>
        socket.connecting ? new Promise((done) => socket.once('connect', done)) : undefined,
      ),
    );
    // The real bounds are 10 s and a look every 2 s: gone by 13 s. Here in the same proportion, and a second for a busy machine.
    const goneByMs = TIMEOUTS.headersTimeoutMs + 2 * TIMEOUTS.checkIntervalMs + inTime(1_000);
    const tookMs: number[] = [];
    while (closed < 200) {
      const sinceMs = performance.now() - startMs;
      assert.ok(sinceMs < goneByMs, `${200 - closed} are left after ${sinceMs} ms`);
      const askedMs = performance.now();
      assert.equal((await api.get('/topology')).status, 200);
      tookMs.push(performance.now() - askedMs);
    }
    tookMs.sort((a, b) => a - b);
    const p99Ms = tookMs[Math.floor((tookMs.length - 1) * 0.99)] ?? 0;
    assert.ok(p99Ms <= inTime(500), `${p99Ms} ms`);
    promise(
      t,
      'A1',
      `with 1.5 s for headers: all gone after ${Math.round(performance.now() - startMs)} ms; p99 ${p99Ms.toFixed(0)} ms of ${tookMs.length} requests beside them`,
    );
  });

  it('is rid of one that dribbles its body, with 408', async (t) => {
    const api = await startApi(t, { timeouts: TIMEOUTS });
    const answer = await rawRequest(
      api.port,
      'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{',
    );
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.equal(api.chat.requests.length, 0);
  });
});

describe('listener', () => {
  it('closes what is busy when the grace is over', async () => {
    const listener = new HttpListener(
      { ...HTTP_TIMEOUTS, headersTimeoutMs: 1_000, requestTimeoutMs: 1_000, checkIntervalMs: 100 },
      { clock: systemClock, log: silentLogger, onRequest: (_incoming, outgoing) => outgoing.write('begun') },
    );
    const port = await listener.listen('127.0.0.1', 0);
    const answer = fetch(`http://127.0.0.1:${port}/`).then((response) => response.text());
    answer.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    await listener.close();
    await assert.rejects(answer);
  });
});
