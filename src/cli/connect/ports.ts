/** Ports of this machine that nobody listens on, for a node or for the end of a forward. */
import { ExoError, LIMITS, tryListen } from '../../shared/index.js';

const LOOPBACK = '127.0.0.1';

/** Whether something may listen on the port of the loopback now. */
export async function isFree(port: number, host = LOOPBACK): Promise<boolean> {
  return (await tryListen({ host, port })) === undefined;
}

/**
 * The first free port from `prefer` upwards that is not to be avoided. A port that is held on any address counts as
 * taken: on some systems a loopback address may be bound beside it, and would get its connections.
 */
export async function freePortFrom(prefer: number, avoid: ReadonlySet<number>): Promise<number> {
  for (let port = prefer; port < prefer + LIMITS.portTriesMax && port <= 65_535; port += 1) {
    if (avoid.has(port)) continue;
    if ((await isFree(port)) && (await isFree(port, '0.0.0.0'))) return port;
  }
  throw new ExoError(
    'port-in-use',
    `no free port from ${prefer} to ${prefer + LIMITS.portTriesMax - 1} on this machine`,
  );
}
