/**
 * The listening ends of `-L` on this machine: a free port in the place of 0, and why ssh could not listen, found by trying
 * it ourselves (ssh only says that it failed).
 */
import net from 'node:net';
import { tryListen } from '../../shared/index.js';
import { listenPlace } from '../description/listening.js';
import type { Endpoint, Forward } from '../description/tunnel-spec.js';
import type { TunnelFailure } from '../failure.js';
import { explainListen } from '../listen-failure.js';

/** For each host a port that nobody has now: ssh takes no 0 for `-L`. Held together while they are chosen. 0: there is none. */
export async function freeListenPorts(hosts: readonly string[]): Promise<number[]> {
  const held = await Promise.all(hosts.map(holdFreePort));
  await Promise.all(held.map(released));
  return held.map((one) => one?.port ?? 0);
}

interface HeldPort {
  readonly server: net.Server;
  readonly port: number;
}

function holdFreePort(host: string): Promise<HeldPort | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ ...listenPlace({ kind: 'tcp', host, port: 0 }), exclusive: true }, () =>
      resolve({ server, port: (server.address() as net.AddressInfo).port }),
    );
  });
}

function released(held: HeldPort | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (held === undefined) resolve();
    else held.server.close(() => resolve());
  });
}

/** Why ssh could not listen for a `-L`; undefined when one can by now. */
export async function explainLocalRefusal(
  forward: Forward,
  listen: Endpoint,
): Promise<TunnelFailure | undefined> {
  const fault = await tryListen(listenPlace(listen));
  return fault && explainListen({ ...forward, listen }, fault.code ?? fault.message);
}
