/** Ports for programs that cannot be asked for port 0 (two ends must know the number beforehand). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

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
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = anySteady();
    if (!take(port)) continue;
    try {
      const server = await listen(port);
      await new Promise((resolve) => server.close(resolve));
      return port;
    } catch {
      // Taken: the next number.
    }
  }
  throw new Error(`none of ${TRIES_MAX} ports is free`);
}

/** Where the system takes the numbers of outgoing connections from, by default on Linux. */
const OUTGOING_FIRST = 32_768;
/** Above what people and distributions give to services. */
const STEADY_FIRST = 12_000;

const TRIES_MAX = 1_000;

const given = new Set<number>();

/** Not given to two, who take it into use later: neither in one process, nor in those of one run, who share $EXO_TEST_PORTS. */
function take(port: number): boolean {
  if (given.has(port)) return false;
  given.add(port);
  const folder = process.env['EXO_TEST_PORTS'];
  if (folder === undefined) return true;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, String(port)), '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

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
