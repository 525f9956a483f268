/**
 * The listening ends of `-L` on this machine: a free port in the place of 0, a socket file that nobody listens on any
 * more, and why ssh could not listen, found by trying it ourselves (ssh only says that it failed).
 */
import { lstatSync, rmSync } from 'node:fs';
import net from 'node:net';
import type { TunnelFailure } from '../failure.js';
import type { Endpoint, Forward } from '../tunnel-spec.js';

/** Resolves to undefined when one can listen there, else to the system's error code (`EADDRINUSE`). */
function tryListen(end: net.ListenOptions): Promise<{ error?: string; port: number }> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ error: error.code ?? error.message, port: 0 }),
    );
    server.listen({ ...end, exclusive: true }, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve({ port }));
    });
  });
}

/** The host of a listening end as the system takes it. */
function bindHost(host: string): string | undefined {
  return host === '*' ? undefined : host;
}

function listenOptions(end: Endpoint): net.ListenOptions {
  if (end.kind === 'unix') return { path: end.path };
  const host = bindHost(end.host);
  return { port: end.port, ...(host === undefined ? {} : { host }) };
}

/** A port that nobody has now: ssh takes no 0 for `-L`. 0 when there is none. */
export async function freeListenPort(host: string): Promise<number> {
  return (await tryListen(listenOptions({ kind: 'tcp', host, port: 0 }))).port;
}

/** Removes the socket file at `path` if nobody listens on it; a session that was killed leaves one. */
export async function clearSocketFile(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const refused = await new Promise<boolean>((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (refused) rmSync(path, { force: true });
}

/** Why ssh could not listen for a `-L`; undefined when one can by now. */
export async function explainLocalRefusal(
  forward: Forward,
  listen: Endpoint,
): Promise<TunnelFailure | undefined> {
  const { error } = await tryListen(listenOptions(listen));
  if (error === undefined) return undefined;
  const where = listen.kind === 'unix' ? listen.path : `port ${listen.port} of ${listen.host}`;
  const forwards = [forward.text];
  switch (error) {
    case 'EADDRINUSE': {
      const message = `${where} is taken by another program on this machine (-L ${forward.text}); end it or choose another`;
      return { code: 'local-port-busy', message, forwards };
    }
    case 'EADDRNOTAVAIL': {
      const message = `${where} cannot be listened on: this machine does not have that address now (-L ${forward.text})`;
      return { code: 'local-port-busy', message, forwards };
    }
    case 'EACCES': {
      const message = `${where} may not be listened on by this user (-L ${forward.text}); choose a port above 1023 or another folder`;
      return { code: 'spec-refused', message, forwards };
    }
    default:
      return {
        code: 'spec-refused',
        message: `${where} cannot be listened on (${error}; -L ${forward.text})`,
        forwards,
      };
  }
}
