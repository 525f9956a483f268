/** The bounds of the HTTP side: connections, sources, slow bodies, readers that take nothing; and what they count. */
import assert from 'node:assert/strict';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { HTTP_BOUNDS } from '../../src/api/connection-table.js';
import { HTTP_TIMEOUTS, HttpListener, type HttpTimeouts } from '../../src/api/listener.js';
import { isLoopback, Sheds, silentLogger, systemClock } from '../../src/shared/index.js';
import { startApi, until } from './harness.js';

interface Started {
  readonly port: number;
  readonly sheds: Sheds;
  readonly listener: HttpListener;
  readonly held: ServerResponse[];
}

/** Answers `/hold` never, `/large` with 64 MiB, and everything else at once. */
async function start(
  t: TestContext,
  options: {
    readonly host?: string;
    readonly timeouts?: Partial<HttpTimeouts>;
    readonly bounds?: Partial<typeof HTTP_BOUNDS>;
  } = {},
): Promise<Started> {
  const sheds = new Sheds();
  const held: ServerResponse[] = [];
  const listener = new HttpListener(
    { ...HTTP_TIMEOUTS, checkIntervalMs: 50, ...options.timeouts },
    {
      clock: systemClock,
      log: silentLogger,
      sheds,
      bounds: { ...HTTP_BOUNDS, ...options.bounds },
      onRequest: (incoming, outgoing) => {
        if (incoming.url === '/hold') held.push(outgoing);
        else if (incoming.url === '/large') outgoing.end(Buffer.alloc(64 * 1024 * 1024));
        else if (incoming.method === 'POST') incoming.resume().on('end', () => outgoing.end('read'));
        else outgoing.end('ok');
      },
    },
  );
  const port = await listener.listen(options.host ?? '127.0.0.1', 0);
  t.after(() => listener.close());
  return { port, sheds, listener, held };
}

/** A connection that says `text` and tells what came and when it ended. */
class Client {
  readonly socket: Socket;
  readonly connected: Promise<unknown>;
  received = '';
  isClosed = false;

  constructor(t: TestContext, port: number, text: string, host = '127.0.0.1') {
    this.socket = connect({ host, port });
    this.connected = new Promise((resolve) => this.socket.once('connect', resolve));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    this.socket.setEncoding('latin1');
    if (text !== '') this.socket.write(text);
    t.after(() => this.socket.destroy());
  }

  read(): this {
    this.socket.on('data', (chunk) => {
      this.received += chunk;
    });
    return this;
  }
}

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

describe('http connections', () => {
  it('lets the one that waited longest make room, and never one that is answered', async (t) => {
    const { port, sheds, listener, held } = await start(t, { bounds: { connectionsMax: 4 } });
    const busy = new Client(t, port, GET('/hold')).read();
    await until(() => held.length === 1);
    const idle: Client[] = [];
    for (let index = 0; index < 3; index++) {
      idle.push(new Client(t, port, '').read());
      await until(() => listener.connections === index + 2);
    }
    const answered = new Client(t, port, GET('/')).read();
    await until(() => answered.received.endsWith('ok') && idle[0]!.isClosed);
    assert.equal(listener.connections, 4);
    assert.deepEqual([idle[1]!.isClosed, idle[2]!.isClosed, busy.isClosed], [false, false, false]);
    assert.equal(sheds.count('http-full'), 1);
    // Kept alive after its answer, it waits behind the other two.
    const next = new Client(t, port, GET('/')).read();
    await until(() => next.received.endsWith('ok') && idle[1]!.isClosed);
    assert.deepEqual([idle[2]!.isClosed, answered.isClosed], [false, false]);
  });

  it('answers 503 while all are being answered, in the shape of all errors', async (t) => {
    const { port, sheds, held } = await start(t, { bounds: { connectionsMax: 2 } });
    for (let index = 0; index < 2; index++) new Client(t, port, GET('/hold')).read();
    await until(() => held.length === 2);
    const refused = new Client(t, port, GET('/')).read();
    await until(() => refused.isClosed);
    assert.match(refused.received, /^HTTP\/1\.1 503 Service Unavailable\r\n.*"code":"overloaded"/s);
    assert.equal(STATUS_CODES[503], 'Service Unavailable');
    assert.equal(sheds.count('http-full'), 1);
    held[0]!.end('now');
    await until(() => held[0]!.writableFinished);
    const later = new Client(t, port, GET('/')).read();
    await until(() => later.received.endsWith('ok'));
  });

  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ address, family }) => family === 'IPv4' && !isLoopback(address))?.address;

  it('gives another machine its share, so that the owner’s loopback is served beside it', {
    skip: own === undefined ? 'this machine has no address but loopback' : false,
  }, async (t) => {
    const { port, sheds, listener, held } = await start(t, {
      host: '0.0.0.0',
      bounds: { connectionsMax: 100, perSourceMax: 3 },
    });
    for (let index = 0; index < 3; index++) new Client(t, port, GET('/hold'), own).read();
    await until(() => held.length === 3);
    const fourth = new Client(t, port, GET('/'), own).read();
    await until(() => fourth.isClosed);
    assert.match(fourth.received, /^HTTP\/1\.1 503 /);
    assert.equal(sheds.count('http-full'), 1);
    const local = Array.from({ length: 10 }, () => new Client(t, port, GET('/hold')).read());
    await until(() => held.length === 13);
    assert.equal(local.filter(({ isClosed }) => isClosed).length, 0);
    assert.equal(listener.connections, 13);
  });
});

describe('http speed', () => {
  it('cuts a body that comes slower than 1 KiB/s, with 408, and not one that comes faster', async (t) => {
    const { port, sheds } = await start(t, { timeouts: { bodyRateGraceMs: 600 } });
    const head = 'POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n';
    const slow = new Client(t, port, head).read();
    const fast = new Client(t, port, head).read();
    const timer = setInterval(() => {
      if (!slow.isClosed) slow.socket.write('x');
      if (!fast.isClosed && fast.socket.writable) fast.socket.write('x'.repeat(500));
    }, 50);
    t.after(() => clearInterval(timer));
    await until(() => slow.isClosed && fast.received.endsWith('read'));
    assert.match(slow.received, /^HTTP\/1\.1 408 /);
    assert.match(fast.received, /^HTTP\/1\.1 200 /);
    assert.equal(sheds.count('http-too-slow'), 1);
  });

  it('counts slow headers, silent connections and headers that are too large', async (t) => {
    const { port, sheds } = await start(t, { timeouts: { headersTimeoutMs: 300, requestTimeoutMs: 400 } });
    const clients = ['GET / HT', ''].map((text) => new Client(t, port, text).read());
    await until(() => clients.every(({ isClosed }) => isClosed));
    assert.equal(sheds.count('http-too-slow'), 2);
    const large = new Client(t, port, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`).read();
    await until(() => large.isClosed);
    assert.equal(sheds.count('http-too-large'), 1);
  });

  it('gives up an answer of which the client takes nothing, and not one that is read slowly', async (t) => {
    const { port, sheds, held } = await start(t, { timeouts: { stalledAnswerMs: 1_500 } });
    const deaf = new Client(t, port, GET('/large'));
    deaf.socket.pause();
    const waiting = new Client(t, port, GET('/hold')).read();
    const slow = new Client(t, port, GET('/large'));
    let taken = 0;
    slow.socket.on('data', (chunk: string) => {
      taken += chunk.length;
      slow.socket.pause();
    });
    const timer = setInterval(() => slow.socket.resume(), 10);
    t.after(() => clearInterval(timer));
    await until(() => sheds.count('slow-peer') === 1);
    assert.equal(held.length, 1);
    assert.equal(waiting.isClosed, false, 'an answer that is still being made is no reason');
    await until(() => taken > 6 * 1024 * 1024);
    assert.equal(sheds.count('slow-peer'), 1);
    assert.equal(slow.isClosed, false);
  });

  it('shows what it turned away in the status and in the metrics', async (t) => {
    const sheds = new Sheds();
    const api = await startApi(
      t,
      { timeouts: { ...HTTP_TIMEOUTS, headersTimeoutMs: 200, checkIntervalMs: 50 } },
      { sheds },
    );
    const slow = new Client(t, api.port, 'GET /').read();
    await until(() => slow.isClosed);
    const status = (await (await api.get('/v1/status')).json()) as { sheds: unknown };
    assert.deepEqual(status.sheds, [{ reason: 'http-too-slow', count: 1 }]);
    assert.match(await (await api.get('/metrics')).text(), /^exo_shed_total\{reason="http-too-slow"\} 1$/m);
  });
});
