/**
 * A node:http server with bounds on everything, and answers in our shape also where Node itself refuses (headers
 * too slow or too large, not HTTP at all). Knows nothing of endpoints.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { ExoError, formatAddress, LIMITS } from '../shared/index.js';
import { errorAnswer, HttpError } from './openai-errors.js';

/** Timeouts that a test may shorten; all in milliseconds. */
export interface HttpTimeouts {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly checkIntervalMs: number;
}

/** The bounds that the program runs with. */
export const HTTP_TIMEOUTS: HttpTimeouts = {
  headersTimeoutMs: LIMITS.httpHeadersTimeoutMs,
  requestTimeoutMs: LIMITS.httpRequestTimeoutMs,
  checkIntervalMs: LIMITS.httpCheckIntervalMs,
};

/** A server that is not listening yet. */
export function createHttpServer(timeouts: HttpTimeouts, onRequest: RequestListener): Server {
  const server = createServer(
    {
      headersTimeout: timeouts.headersTimeoutMs,
      requestTimeout: timeouts.requestTimeoutMs,
      connectionsCheckingInterval: timeouts.checkIntervalMs,
      keepAliveTimeout: LIMITS.httpKeepAliveMs,
      noDelay: true,
    },
    onRequest,
  );
  server.maxConnections = LIMITS.httpConnectionsMax;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuse(error, socket as Socket));
  return server;
}

/** Binds. Throws `port-in-use` or `option-invalid`, naming the option. */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => reject(bindError(error, host, port));
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function bindError(error: NodeJS.ErrnoException, host: string, port: number): ExoError {
  const where = formatAddress({ host, port });
  switch (error.code) {
    case 'EADDRINUSE':
      return new ExoError(
        'port-in-use',
        `the API's ${where} is taken by another program (or by the -L of a tunnel); choose another port with --chatgpt-api-port`,
        { cause: error },
      );
    case 'EACCES':
      return new ExoError(
        'option-invalid',
        `this user may not listen on ${where}; choose a port above 1023 with --chatgpt-api-port`,
        { cause: error },
      );
    default:
      return new ExoError(
        'option-invalid',
        `the API cannot listen on ${where} (${error.code ?? error.message}); --chatgpt-api-host takes an address of this machine, e.g. 127.0.0.1`,
        { cause: error },
      );
  }
}

function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, body } = errorAnswer(refusal(error.code));
  const text = JSON.stringify(body);
  const reason = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' }[
    status
  ];
  socket.end(
    `HTTP/1.1 ${status} ${reason ?? 'Error'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
    // A client that is refused for being slow may be as slow to leave.
    () => socket.destroy(),
  );
}

function refusal(code: string | undefined): HttpError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new HttpError('http-invalid', 'the request did not arrive in time', { status: 408 });
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new HttpError('http-invalid', 'the headers are too large', { status: 431 });
  }
  return new HttpError('http-invalid', 'this is not an HTTP request that can be understood');
}
