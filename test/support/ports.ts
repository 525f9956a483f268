/** Ports for programs that cannot be asked for port 0 (two ends must know the number beforehand). */
import { readFileSync } from 'node:fs';
import net from 'node:net';

/** `count` different TCP ports of 127.0.0.1 that nobody listens on now. */
export function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, () => steadyPort()));
}

/** One such port. */
export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!;
}

/**
 * A free port for a server that comes later, or goes and comes back: no outgoing connection is given its number meanwhile, of
 * this test or of one beside it.
 */
export async function steadyPort(): Promise<number> {
  for (let port = anySteady(); ; port = anySteady()) {
    // Not given to two in one process, who take it into use later.
    if (given.has(port)) continue;
    given.add(port);
    try {
      const server = await listen(port);
      await new Promise((resolve) => server.close(resolve));
      return port;
    } catch {
      // Taken: the next number.
    }
  }
}

/** Where the system takes the numbers of outgoing connections from, by default on Linux. */
const OUTGOING_FIRST = 32_768;
/** Above what people and distributions give to services. */
const STEADY_FIRST = 12_000;

const given = new Set<number>();

/** A number below those of outgoing connections; at random, for tests that run side by side. */
function anySteady(): number {
  let outgoing = OUTGOING_FIRST;
  try {
    outgoing = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
  } catch {
    // Not Linux, where sshd does not run in tests either.
  }
  const end = outgoing > STEADY_FIRST ? outgoing : OUTGOING_FIRST;
  return STEADY_FIRST + Math.floor(Math.random() * (end - STEADY_FIRST));
}

function listen(port: number): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
