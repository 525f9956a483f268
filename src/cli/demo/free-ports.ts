/** Looks whether ports can be listened on, before anything is started. */
import net from 'node:net';
import { ExoError } from '../../shared/index.js';
import { HintedError } from '../errors.js';

/** Throws `port-in-use` naming all that are taken, and what to do. */
export async function requireFreePorts(
  host: string,
  ports: ReadonlyArray<{ readonly port: number; readonly what: string }>,
): Promise<void> {
  const taken: string[] = [];
  const numbers: number[] = [];
  for (const { port, what } of ports) {
    const fault = await tryListen(host, port);
    if (fault === undefined) continue;
    if (fault.code !== 'EADDRINUSE') {
      throw new ExoError('port-in-use', `port ${port} (${what}) cannot be used: ${fault.message}`);
    }
    taken.push(`  ${port}   ${what}`);
    numbers.push(port);
  }
  if (taken.length === 0) return;
  throw new HintedError(
    'port-in-use',
    `the demo uses the ports of the example, and these are taken:\n${taken.join('\n')}`,
    `who has them: lsof ${numbers.map((port) => `-i :${port}`).join(' ')}; another demo, a node (exo stop) or a tunnel?`,
  );
}

/** Resolves with why a port cannot be listened at; undefined where it can. */
export function tryListen(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error) => resolve(error));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}
