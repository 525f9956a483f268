/**
 * One announce over one TCP connection, in both roles, with deadline and bound; and the few things that tcp
 * discovery wants of node:net. Knows nothing of candidates: tcp.ts and tcp-announcer.ts use it.
 */
import { createServer, type Socket, connect as tcpConnect } from 'node:net';
import { type Clock, ExoError, LIMITS } from '../shared/index.js';
import { type Announce, AnnounceReader, decodeAnnounce, encodeAnnounce } from './announce.js';

/** An accepting socket. */
export interface AnnounceListener {
  readonly port: number;
  /** Resolves when the listener and every connection that it accepted are gone. */
  close(): Promise<void>;
}

/** Binds and listens. Rejects with the system's error. */
export type ListenForAnnounces = (
  host: string,
  port: number,
  onSocket: (socket: Socket) => void,
  onError: (error: Error) => void,
  /** A connection was turned away, because as many as are read at once are open. */
  onFull?: () => void,
) => Promise<AnnounceListener>;

/** Begins a connection. */
export type ConnectForAnnounce = (host: string, port: number) => Socket;

/** `ListenForAnnounces` by node:net. */
export const listenForAnnounces: ListenForAnnounces = async (host, port, onSocket, onError, onFull) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  server.maxConnections = LIMITS.announceConnectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  server.on('error', onError);
  if (onFull !== undefined) server.on('drop', onFull);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
};

/** `ConnectForAnnounce` by node:net. */
export const connectForAnnounce: ConnectForAnnounce = (host, port) => tcpConnect({ host, port });

/**
 * Waits for the announce of the other side. Rejects with `candidate-invalid` for anything else, `connection-closed` when
 * the other side leaves first, `request-timeout` at the deadline. The socket stays open.
 */
export function receiveAnnounce(socket: Socket, clock: Clock, deadlineMs: number): Promise<Announce> {
  const reader = new AnnounceReader();
  return new Promise((resolve, reject) => {
    const settle = (how: () => void) => {
      timer.cancel();
      socket.removeListener('data', onData);
      socket.removeListener('end', onGone);
      socket.removeListener('close', onGone);
      how();
    };
    const fail = (error: unknown) => settle(() => reject(error));
    const onData = (chunk: Buffer) => {
      try {
        const whole = reader.push(chunk);
        if (whole === undefined) return;
        const announce = decodeAnnounce(whole);
        settle(() => resolve(announce));
      } catch (error) {
        fail(error);
      }
    };
    const onGone = () =>
      fail(new ExoError('connection-closed', 'the connection ended before an announce came'));
    const timer = clock.after(deadlineMs, () =>
      fail(new ExoError('request-timeout', 'no announce came in time')),
    );
    socket.on('data', onData);
    socket.on('end', onGone);
    socket.on('close', onGone);
  });
}

/** How a question is put. */
export interface AskOptions {
  readonly host: string;
  readonly port: number;
  /** Milliseconds until the connection must be there. */
  readonly connectTimeoutMs: number;
  readonly announce: Announce;
}

/**
 * Connects, announces itself and returns what the other side answers, with the address that answered. Rejects with
 * `connect-failed` and as `receiveAnnounce`. The socket is gone afterwards, also when `signal` is aborted.
 */
export async function askForAnnounce(
  options: AskOptions,
  components: { readonly clock: Clock; readonly connect: ConnectForAnnounce; readonly signal: AbortSignal },
): Promise<{ readonly announce: Announce; readonly host: string }> {
  const { clock, signal } = components;
  const socket = components.connect(options.host, options.port);
  // Errors end in `close`, which both waits below see.
  socket.on('error', () => undefined);
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const abort = () => socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await connected(socket, clock, options.connectTimeoutMs);
    const answer = receiveAnnounce(socket, clock, LIMITS.announceTimeoutMs);
    socket.write(encodeAnnounce(options.announce));
    const announce = await answer;
    return { announce, host: socket.remoteAddress ?? options.host };
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
    await gone;
  }
}

function connected(socket: Socket, clock: Clock, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => {
      timer.cancel();
      reject(new ExoError('connect-failed', 'no connection'));
    };
    const timer = clock.after(timeoutMs, fail);
    socket.once('close', fail);
    socket.once('connect', () => {
      timer.cancel();
      socket.removeListener('close', fail);
      resolve();
    });
  });
}
