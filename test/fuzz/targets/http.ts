/**
 * The HTTP API: raw bytes through Node's own parser and the shipped server, without a socket. What comes back is HTTP, every
 * failed answer has our shape, and no input makes a status of 500. An input is one request (or several, pipelined).
 */
import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:http';
import { Duplex } from 'node:stream';
import { createApiServer } from '../../../src/api/index.js';
import {
  isErrorCode,
  isPrintable,
  type Random,
  silentLogger,
  systemClock,
} from '../../../src/shared/index.js';
import { OWNER_TOKEN, ScriptedChat, StillMesh } from '../../api/harness.js';
import { tunnelStatus } from '../../api/still-tunnels.js';
import { varyJson } from '../json-mutate.js';
import { type FuzzTarget, wordsOf } from '../target.js';

const WORDS = [
  ...[
    'messages',
    'role',
    'content',
    'stream',
    'stop',
    'max_tokens',
    'temperature',
    'model',
    'n',
    'stream_options',
  ],
  ...[
    'Host: 127.0.0.1\r\n',
    'Origin: http://evil\r\n',
    'Authorization: Bearer x\r\n',
    'Content-Length: 1\r\n',
  ],
  ...[
    'Transfer-Encoding: chunked\r\n',
    '0\r\n\r\n',
    'Expect: 100-continue\r\n',
    'Content-Encoding: gzip\r\n',
  ],
  ...[
    '%00',
    '%2e%2e',
    '%',
    '?',
    '/v1/tunnels/',
    '/models/',
    'GET ',
    'DELETE ',
    'OPTIONS ',
    'HEAD ',
    '\r\n',
    'user',
  ],
];

function request(head: string, body?: unknown): Buffer {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const lines = [
    `${head} HTTP/1.1`,
    'Host: 127.0.0.1:52415',
    ...(body === undefined
      ? []
      : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`]),
    `Authorization: Bearer ${OWNER_TOKEN}`,
    'Connection: close',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${text}`);
}

const SAMPLES = [
  request('POST /v1/chat/completions', {
    model: 'dummy',
    messages: [
      { role: 'system', content: 's' },
      { role: 'user', content: [{ type: 'text', text: 'hé' }] },
    ],
    temperature: 0.5,
    max_tokens: 5,
    stop: ['x'],
    stream_options: { include_usage: true },
  }),
  request('POST /v1/chat/completions', { messages: [{ role: 'user', content: 'a' }], stream: true, n: 1 }),
  request('POST /v1/chat/token/encode', { messages: [{ role: 'user', content: 'a' }] }),
  request('POST /v1/ping', { node: 'b', timeout_ms: 5 }),
  request('POST /v1/tunnels', {
    name: 't',
    ssh: 'u@h',
    forward: ['1:localhost:2'],
    options: { Compression: true },
  }),
  request('POST /v1/tunnels/reload', { name: 'mac2' }),
  request('POST /download', { model: 'dummy' }),
  request('POST /quit', {}),
  request('DELETE /v1/tunnels/mac2'),
  ...['/', '/v1/status', '/v1/models/org%2Flater', '/v1/tunnels/x', '/healthcheck', '/v1/topology'].map(
    (path) => request(`GET ${path}`),
  ),
  request('DELETE /models/dummy'),
  Buffer.from('GET / HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n'),
  Buffer.from(
    `POST /v1/ping HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"nod\r\n8\r\ne": "b"}\r\n0\r\n\r\n`,
  ),
];

/** The JSON behind the head, with its length set right. */
function vary(input: Buffer, random: Random): Buffer | undefined {
  const at = input.indexOf('\r\n\r\n');
  if (at < 0) return undefined;
  const text = varyJson(input.toString('utf8', at + 4), random, WORDS);
  if (text === undefined) return undefined;
  const head = input
    .toString('latin1', 0, at)
    .replace(/content-length: *\d+/i, `Content-Length: ${Buffer.byteLength(text)}`);
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), Buffer.from(text)]);
}

const mesh = new StillMesh();
const chat = new ScriptedChat();
chat.pieces = ['a', 'bx', 'c'];
const api = createApiServer(
  { host: '127.0.0.1', port: 0, responseTimeoutMs: 1_000, ownerToken: OWNER_TOKEN },
  { mesh, chat, clock: systemClock, log: silentLogger, quit: () => undefined },
);

/** The shipped server with all of its bounds; Node tells which one took a request. */
async function serverOf(): Promise<Server> {
  await api.start();
  const found = new Promise<Server>((resolve) => {
    subscribe('http.server.request.start', (said) => resolve((said as { server: Server }).server));
  });
  await fetch(`http://127.0.0.1:${api.address.port}/healthcheck`);
  return found;
}
const server = await serverOf();

/** A connection that is only memory: `input` comes in, then the other side ends; what goes out is kept. */
function talk(input: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const out: Buffer[] = [];
    const stream = new Duplex({
      read() {
        this.push(input);
        this.push(null);
      },
      write(chunk: Buffer, _encoding, done) {
        out.push(chunk);
        done();
      },
    });
    Object.assign(stream, {
      remoteAddress: '127.0.0.1',
      setTimeout: () => stream,
      setNoDelay: () => stream,
      setKeepAlive: () => stream,
      destroySoon: () => stream.end(() => stream.destroy()),
    });
    stream.on('error', () => undefined);
    stream.once('close', () => resolve(Buffer.concat(out).toString('latin1')));
    server.emit('connection', stream);
  });
}

function checkAnswer(answer: string): string {
  const match = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/.exec(answer);
  assert.ok(match, `no HTTP: ${JSON.stringify(answer.slice(0, 60))}`);
  const status = Number(match[1]);
  assert.notEqual(status, 500, answer.slice(0, 500));
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2);
  if (status < 400 || body === '' || !/content-type: application\/json/i.test(head)) return String(status);
  const text = Buffer.from(body, 'latin1').toString('utf8');
  const { error, detail } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as {
    error: { code: string; message: string };
    detail: string;
  };
  assert.equal(detail, error.message);
  assert.ok(
    isErrorCode(error.code) || ['model_not_found', 'context_length_exceeded'].includes(error.code),
    error.code,
  );
  assert.ok(
    error.message.length < 2_000 && isPrintable(error.message),
    JSON.stringify(error.message.slice(0, 200)),
  );
  return `${status} ${error.code} ${wordsOf(error.message).slice(0, 60)}`;
}

export const http: FuzzTarget = {
  name: 'http',
  bytesMax: 16 * 1024,
  words: WORDS,
  codes: [],
  seeds: () => SAMPLES,
  vary,
  async run(input) {
    // A stream of events has no end of its own.
    if (/\/v1\/events/.test(input.toString('latin1'))) return 'events';
    mesh.tunnels.add(tunnelStatus());
    const answer = await talk(input);
    return answer === '' ? 'silence' : checkAnswer(answer);
  },
};
