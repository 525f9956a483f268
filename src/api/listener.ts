/**
 * A node:http server with bounds on everything, and answers in our shape also where Node itself refuses (headers
 * too slow or too large, not HTTP at all). Knows nothing of endpoints.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, ExoError, formatAddress, LIMITS, type Logger } from '../shared/index.js';
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

/** What a listener works with. */
export interface HttpListenerComponents {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onRequest: RequestListener;
}

/** One bound port and its connections. Used once: `listen`, then `close`. */
export class HttpListener {
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();
  /** Sockets whose request is being answered, with the answer. */
  readonly #busy = new Map<Socket, ServerResponse>();
  #closing = false;

  constructor(timeouts: HttpTimeouts, components: HttpListenerComponents) {
    const { log, onRequest } = components;
    this.#clock = components.clock;
    this.#server = createServer(
      {
        headersTimeout: timeouts.headersTimeoutMs,
        requestTimeout: timeouts.requestTimeoutMs,
        connectionsCheckingInterval: timeouts.checkIntervalMs,
        keepAliveTimeout: LIMITS.httpKeepAliveMs,
        noDelay: true,
      },
      (incoming, outgoing) => {
        this.#track(incoming.socket, outgoing);
        onRequest(incoming, outgoing);
      },
    );
    this.#server.maxConnections = LIMITS.httpConnectionsMax;
    this.#server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
      const socket = stream as Socket;
      // In the middle of an answer there is no place for another one.
      if (this.#busy.get(socket)?.headersSent === true) socket.destroy();
      else refuse(error, socket);
    });
    // After the bind: no file descriptor left to accept with. The connection is lost, the server is not.
    this.#server.on('error', (error) => log.warn('api-server-error', { error }));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Binds and gives the port. Throws `port-in-use` or `option-invalid`, naming the option. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) => reject(bindError(error, host, port));
      this.#server.once('error', onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', onError);
        const bound = this.#server.address();
        resolve(bound !== null && typeof bound === 'object' ? bound.port : port);
      });
    });
  }

  /** Ends idle connections at once, busy ones after their answer, and whatever is left after the grace time. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) if (!this.#busy.has(socket)) socket.destroy();
    const timer = this.#clock.after(LIMITS.closeGraceMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    timer.cancel();
  }

  #track(socket: Socket, outgoing: ServerResponse): void {
    this.#busy.set(socket, outgoing);
    outgoing.once('close', () => {
      this.#busy.delete(socket);
      if (this.#closing) socket.destroySoon();
    });
  }
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
