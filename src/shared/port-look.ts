/** Looks at the ports of this machine: may one be listened at now, and if not, what has it. */
import { createReadStream } from 'node:fs';
import { createServer, type ListenOptions } from 'node:net';
import { LIMITS } from './limits.js';

/** Resolves with why it cannot be listened there now (`EADDRINUSE`); undefined where it can. */
export function tryListen(place: ListenOptions): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error));
    server.listen({ ...place, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** `connection`: nobody listens there, and a connection has it as its near end, as an *ephemeral port*. */
export type PortHolder = 'program' | 'connection';

/**
 * What has a TCP port that cannot be listened at. Linux keeps the near end of a connection for 60 s after its end. Where the system
 * does not tell, it is a `program`: macOS lets its user listen beside a connection.
 */
export async function portHolder(port: number): Promise<PortHolder> {
  try {
    const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((file) => statesOf(file, port)));
    const states = new Set(tables.flat());
    return states.size === 0 || states.has(TCP_LISTEN) ? 'program' : 'connection';
  } catch {
    return 'program';
  }
}

const TCP_LISTEN = '0A';

/** Of the sockets that have a port, at any address. A row begins with number, local address, remote address, state (proc(5)). */
async function statesOf(file: string, port: number): Promise<string[]> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const row = new RegExp(`^ *\\d+: [0-9A-F]+:${hex} [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) `);
  const states: string[] = [];
  let rest = '';
  const stream = createReadStream(file, { encoding: 'latin1', end: LIMITS.portTableBytesMax - 1 });
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) states.push(...(row.exec(line)?.slice(1) ?? []));
  }
  return states;
}
