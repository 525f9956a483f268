/**
 * The listening ends of `-L` on this machine: a free port in the place of 0, and why ssh could not listen, found by trying
 * it ourselves (ssh only says that it failed).
 */
import net from 'node:net';
import type { Endpoint, Forward } from '../description/tunnel-spec.js';
import type { TunnelFailure } from '../failure.js';
import { explainRefusedListen } from '../listen-failure.js';

/** A listener of a moment, or the system's error code (`EADDRINUSE`). */
type Tried = { readonly server: net.Server; readonly port: number } | { readonly error: string };

function tryListen(end: net.ListenOptions): Promise<Tried> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }));
    server.listen({ ...end, exclusive: true }, () => {
      const address = server.address();
      resolve({ server, port: typeof address === 'object' && address !== null ? address.port : 0 });
    });
  });
}

function closed(tried: Tried): Promise<void> {
  return new Promise((resolve) => {
    if ('server' in tried) tried.server.close(() => resolve());
    else resolve();
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

/** For each host a port that nobody has now: ssh takes no 0 for `-L`. Held together while they are chosen. 0: there is none. */
export async function freeListenPorts(hosts: readonly string[]): Promise<number[]> {
  const tried = await Promise.all(
    hosts.map((host) => tryListen(listenOptions({ kind: 'tcp', host, port: 0 }))),
  );
  await Promise.all(tried.map(closed));
  return tried.map((one) => ('port' in one ? one.port : 0));
}

/** Why ssh could not listen for a `-L`; undefined when one can by now. */
export async function explainLocalRefusal(
  forward: Forward,
  listen: Endpoint,
): Promise<TunnelFailure | undefined> {
  const tried = await tryListen(listenOptions(listen));
  await closed(tried);
  if (!('error' in tried)) return undefined;
  return explainRefusedListen({ ...forward, listen }, tried.error);
}
