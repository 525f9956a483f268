/** The listening end of one `-L` of the ssh2 driver: a port or a unix socket of this machine whose connections go through ssh. */
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { LIMITS } from '../../shared/index.js';
import { listenPlace } from '../description/listening.js';
import type { Endpoint, Forward } from '../description/tunnel-spec.js';
import { explainListen } from '../listen-failure.js';
import { clearSocketFile } from '../ssh/socket-file.js';
import { SessionFailed } from './session-failed.js';

/** An open `-L`. */
export interface LocalListener {
  /** Undefined for a unix socket. */
  readonly port: number | undefined;
  /** Resolves when nothing listens any more; connections stay. */
  close(): Promise<void>;
}

/**
 * Opens it. Throws `SessionFailed`: `local-port-busy`, `local-port-ephemeral`, `local-address-missing`, `spec-refused`.
 */
export async function listenLocal(
  forward: Forward,
  onConnection: (socket: Socket) => void,
): Promise<LocalListener> {
  const { listen } = forward;
  try {
    return await (listen.kind === 'unix'
      ? listenUnix(listen.path, onConnection)
      : listenTcp(listen, onConnection));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const failure = await explainListen(forward, code ?? message);
    throw new SessionFailed(failure.code, failure.message, failure.forwards);
  }
}

async function listenTcp(
  listen: Extract<Endpoint, { kind: 'tcp' }>,
  onConnection: (socket: Socket) => void,
): Promise<LocalListener> {
  const servers: Server[] = [];
  const open = async (place: ListenOptions): Promise<number> => {
    const server = await opened(place, onConnection);
    servers.push(server);
    return (server.address() as { port: number }).port;
  };
  const closeAll = async (): Promise<void> => {
    await Promise.all(servers.map(closed));
  };
  const port = await open(listenPlace(listen));
  if (listen.host === 'localhost') await open({ host: '::1', port, ipv6Only: true }).catch(() => undefined);
  return { port, close: closeAll };
}

async function listenUnix(path: string, onConnection: (socket: Socket) => void): Promise<LocalListener> {
  // What a node left behind that was killed.
  await clearSocketFile(path);
  const server = await opened({ path }, onConnection);
  return { port: undefined, close: () => closed(server) };
}

function opened(place: ListenOptions, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, onConnection);
    server.once('error', reject);
    const unix = place.path !== undefined;
    // A unix socket is its owner's alone, from its first moment on: the file takes its rights from the umask.
    const before = unix ? process.umask(0o177) : 0;
    try {
      server.listen({ ...place, backlog: LIMITS.acceptBacklog, exclusive: true }, () => resolve(server));
    } finally {
      if (unix) process.umask(before);
    }
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
