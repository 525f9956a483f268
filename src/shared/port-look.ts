/** Looks at the ports of this machine: may one be listened at now, and if not, who has it. */
import { createReadStream } from 'node:fs';
import { createServer, type ListenOptions } from 'node:net';
import { LIMITS } from './limits.js';
import { statesOfPort, TCP_LISTEN } from './socket-table.js';

/** Resolves with why it cannot be listened there now (`EADDRINUSE`); undefined where it can. */
export function tryListen(place: ListenOptions): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error));
    server.listen({ ...place, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** `connection`: nobody listens there, and a connection has it as its near end, as an *ephemeral port*. `nobody`: not any more. */
export type PortHolder = 'program' | 'connection' | 'nobody';

/**
 * Who has a TCP port that could not be listened at a moment ago. Linux keeps the near end of a connection for 60 s after its end.
 * Where the system does not tell, it is a `program`: macOS lets its user listen beside a connection.
 */
export async function portHolder(place: ListenOptions & { readonly port: number }): Promise<PortHolder> {
  let states: readonly string[];
  try {
    const [v4, v6] = await Promise.all([
      statesOfPort(readTable('/proc/net/tcp'), place.port),
      // Not there where the kernel has no IPv6.
      statesOfPort(readTable('/proc/net/tcp6'), place.port).catch(() => []),
    ]);
    states = [...v4, ...v6];
  } catch {
    return 'program';
  }
  if (states.includes(TCP_LISTEN)) return 'program';
  if (states.length > 0) return 'connection';
  // Free by now, or of a program that has it and does not listen.
  return (await tryListen(place)) === undefined ? 'nobody' : 'program';
}

function readTable(file: string): AsyncIterable<string> {
  return createReadStream(file, { encoding: 'latin1', end: LIMITS.portTableBytesMax - 1 });
}
