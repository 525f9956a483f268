/**
 * A node:http server with bounds on everything, and answers in our shape also where Node itself refuses (headers
 * too slow or too large, not HTTP at all). Knows nothing of endpoints.
 */
import { createServer, type RequestListener, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import {
  type Clock,
  ExoError,
  formatAddress,
  LIMITS,
  type Logger,
  Sheds,
  type TimerHandle,
} from '../shared/index.js';
import { type ConnectionBounds, ConnectionTable, HTTP_BOUNDS } from './connection-table.js';
import { errorAnswer, HttpError } from './openai-errors.js';

/** Timeouts that a test may shorten; all in milliseconds. */
export interface HttpTimeouts {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly checkIntervalMs: number;
  /** A body that came slower than the least rate for this long is cut. */
  readonly bodyRateGraceMs: number;
  /** An answer of which nothing was taken for this long is given up. */
  readonly stalledAnswerMs: number;
}

/** The bounds that the program runs with. */
export const HTTP_TIMEOUTS: HttpTimeouts = {
  headersTimeoutMs: LIMITS.httpHeadersTimeoutMs,
  requestTimeoutMs: LIMITS.httpRequestTimeoutMs,
  checkIntervalMs: LIMITS.httpCheckIntervalMs,
  bodyRateGraceMs: LIMITS.httpBodyRateGraceMs,
  stalledAnswerMs: LIMITS.httpStalledAnswerMs,
};

/** What a listener works with. */
export interface HttpListenerComponents {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onRequest: RequestListener;
  /** @default HTTP_BOUNDS */
  readonly bounds?: ConnectionBounds;
  /** Where what is turned away is counted. @default its own */
  readonly sheds?: Sheds;
}

/** One bound port and its connections. Used once: `listen`, then `close`. */
export class HttpListener {
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #sheds: Sheds;
  readonly #table: ConnectionTable;
  readonly #timeouts: HttpTimeouts;
  #watch: TimerHandle | undefined;
  #closing = false;

  constructor(timeouts: HttpTimeouts, components: HttpListenerComponents) {
    const { clock, log, onRequest, bounds = HTTP_BOUNDS, sheds = new Sheds() } = components;
    this.#clock = clock;
    this.#sheds = sheds;
    this.#timeouts = timeouts;
    this.#table = new ConnectionTable(bounds, sheds);
    const server = createServer(
      {
        headersTimeout: timeouts.headersTimeoutMs,
        requestTimeout: timeouts.requestTimeoutMs,
        connectionsCheckingInterval: timeouts.checkIntervalMs,
        keepAliveTimeout: LIMITS.httpKeepAliveMs,
        noDelay: true,
      },
      (incoming, outgoing) => {
        const { socket } = incoming;
        this.#table.begin(socket, {
          incoming,
          outgoing,
          sinceMs: clock.now(),
          bytesBefore: socket.bytesRead,
        });
        outgoing.once('close', () => {
          this.#table.end(socket);
          if (this.#closing) socket.destroySoon();
        });
        onRequest(incoming, outgoing);
      },
    );
    this.#server = server;
    server.maxConnections = bounds.connectionsMax + LIMITS.httpClosingMax;
    server.timeout = timeouts.stalledAnswerMs;
    server.on('timeout', (socket) => this.#onSilence(socket));
    server.on('drop', () => sheds.add('http-full'));
    server.on('clientError', (error: NodeJS.ErrnoException, stream) =>
      this.#onClientError(error, stream as Socket),
    );
    // After the bind: no file descriptor left to accept with. The connection is lost, the server is not.
    server.on('error', (error) => log.warn('api-server-error', { error }));
    server.on('connection', (socket) => {
      if (!this.#table.admit(socket)) refuse(tooMany(), socket);
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
        this.#watch = this.#clock.every(this.#timeouts.checkIntervalMs, () => this.#cutSlowBodies());
        resolve(bound !== null && typeof bound === 'object' ? bound.port : port);
      });
    });
  }

  /** Ends idle connections at once, busy ones after their answer, and whatever is left after the grace time. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#watch?.cancel();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#table.sockets()) {
      if (this.#table.exchange(socket) === undefined) socket.destroy();
    }
    const timer = this.#clock.after(LIMITS.closeGraceMs, () => {
      for (const socket of this.#table.sockets()) socket.destroy();
    });
    await closed;
    timer.cancel();
  }

  /** Open connections. */
  get connections(): number {
    return this.#table.size;
  }

  /** Neither side moved for a while: an idle connection ends, a reader that takes nothing too, work goes on. */
  #onSilence(socket: Socket): void {
    if (this.#table.exchange(socket) === undefined) {
      socket.destroy();
    } else if (socket.writableLength > 0) {
      this.#sheds.add('slow-peer');
      socket.destroy();
    }
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const exchange = this.#table.exchange(socket);
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') this.#sheds.add('http-too-slow');
    if (error.code === 'HPE_HEADER_OVERFLOW') this.#sheds.add('http-too-large');
    // In the middle of an answer there is no place for another one.
    if (exchange?.outgoing.headersSent === true) socket.destroy();
    else refuse(refusal(error.code), socket, error.code);
  }

  #cutSlowBodies(): void {
    const nowMs = this.#clock.now();
    for (const [socket, { incoming, outgoing, sinceMs, bytesBefore }] of this.#table.exchanges()) {
      const tookMs = nowMs - sinceMs;
      if (incoming.complete || outgoing.headersSent || tookMs < this.#timeouts.bodyRateGraceMs) continue;
      const perSecond = ((socket.bytesRead - bytesBefore) * 1000) / tookMs;
      if (perSecond >= LIMITS.httpBodyBytesPerSecondMin) continue;
      this.#sheds.add('http-too-slow');
      refuse(refusal('ERR_HTTP_REQUEST_TIMEOUT'), socket);
    }
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

function refuse(refused: ExoError, socket: Socket, cause?: string): void {
  if (!socket.writable || cause === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, body } = errorAnswer(refused);
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
    // A client that is refused for being slow may be as slow to leave.
    () => socket.destroy(),
  );
}

function tooMany(): HttpError {
  return new HttpError('overloaded', 'too many connections are open; close some, or ask again in a moment', {
    status: 503,
    retryable: true,
  });
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
