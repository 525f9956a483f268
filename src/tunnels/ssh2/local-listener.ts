/** The listening end of one `-L` of the ssh2 driver: a port or a unix socket of this machine whose connections go through ssh. */
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { LIMITS } from '../../shared/index.js';
import type { Forward } from '../description/tunnel-spec.js';
import { explainRefusedListen } from '../listen-failure.js';
import { clearSocketFile } from '../ssh/socket-file.js';
import { SessionFailed } from './session-failed.js';

/** An open `-L`. */
export interface LocalListener {
  /** Undefined for a unix socket. */
  readonly port: number | undefined;
  /** Resolves when nothing listens any more; connections stay. */
  close(): Promise<void>;
}

/** Opens it. Throws `SessionFailed`: `local-port-busy` (also for an address that this machine does not have now), `spec-refused`. */
export async function listenLocal(
  forward: Forward,
  onConnection: (socket: Socket) => void,
): Promise<LocalListener> {
  const { listen } = forward;
  if (listen.kind === 'unix') return listenUnix(forward, listen.path, onConnection);
  const host = listen.host === '*' || listen.host === '' ? undefined : listen.host;
  const servers: Server[] = [];
  const open = async (place: ListenOptions): Promise<number> => {
    const server = await opened(place, forward, onConnection);
    servers.push(server);
    return (server.address() as { port: number }).port;
  };
  const closeAll = async (): Promise<void> => {
    await Promise.all(servers.map(closed));
  };
  // As ssh: "localhost" is both loopback addresses, and one of them is enough.
  if (host !== 'localhost')
    return {
      port: await open({ ...(host === undefined ? {} : { host }), port: listen.port }),
      close: closeAll,
    };
  const port = await open({ host: '127.0.0.1', port: listen.port });
  await open({ host: '::1', port, ipv6Only: true }).catch(() => undefined);
  return { port, close: closeAll };
}

async function listenUnix(
  forward: Forward,
  path: string,
  onConnection: (socket: Socket) => void,
): Promise<LocalListener> {
  // What a node left behind that was killed.
  await clearSocketFile(path);
  const server = await opened({ path }, forward, onConnection);
  return { port: undefined, close: () => closed(server) };
}

function opened(
  place: ListenOptions,
  forward: Forward,
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, onConnection);
    server.once('error', (error: NodeJS.ErrnoException) => explained(error, forward).then(reject, reject));
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

async function explained(error: NodeJS.ErrnoException, forward: Forward): Promise<SessionFailed> {
  const { code, message, forwards } = await explainRefusedListen(forward, error.code ?? error.message);
  return new SessionFailed(code, message, forwards);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
