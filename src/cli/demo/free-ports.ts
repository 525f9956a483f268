/** Looks whether the ports of the demo can be listened on, before anything is started. */
import { ExoError, type PortHolder, portHolder, sleep, tryListen } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import { Progress } from '../progress.js';
import { connectionSteps } from '../tunnel/diagnosis.js';
import { LOOPBACK, PORTS } from './plan.js';

/** A connection keeps its near end for a minute after its end, here a little longer. */
export const FREE_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 250;

/** Resolves when all are free: waits for those that only a connection has. Throws `port-in-use` naming the others, and what to do. */
export async function untilPortsAreFree(host: CliHost, signal: AbortSignal): Promise<void> {
  const deadlineMs = host.clock.now() + FREE_WITHIN_MS;
  const progress = new Progress(host, 'looking at the ports');
  try {
    for (;;) {
      const taken = await takenPorts();
      if (taken.length === 0) return;
      if (taken.some(({ holder }) => holder === 'program') || host.clock.now() > deadlineMs) {
        throw inUse(taken);
      }
      const ports = taken.map(({ port }) => port).join(', ');
      progress.update(`waiting for port ${ports}: the near end of a connection, free a minute after its end`);
      await sleep(host.clock, LOOK_EVERY_MS, signal);
    }
  } finally {
    progress.end();
  }
}

interface TakenPort {
  readonly port: number;
  readonly what: string;
  readonly holder: PortHolder;
}

async function takenPorts(): Promise<TakenPort[]> {
  const taken: TakenPort[] = [];
  for (const { port, what } of PORTS) {
    const fault = await tryListen({ host: LOOPBACK, port });
    if (fault === undefined) continue;
    if (fault.code !== 'EADDRINUSE') {
      throw new ExoError('port-in-use', `port ${port} (${what}) cannot be used: ${fault.message}`);
    }
    const holder = await portHolder({ host: LOOPBACK, port });
    if (holder !== 'nobody') taken.push({ port, what, holder });
  }
  return taken;
}

function inUse(taken: readonly TakenPort[]): HintedError {
  const lines = taken.map(
    ({ port, what, holder }) => `  ${port}   ${what}${holder === 'connection' ? ' (by a connection)' : ''}`,
  );
  const programs = taken.filter(({ holder }) => holder === 'program');
  const lsof = programs.map(({ port }) => `-i :${port}`).join(' ');
  return new HintedError(
    'port-in-use',
    `the demo uses the ports of the example, and these are taken:\n${lines.join('\n')}`,
    programs.length === 0
      ? connectionSteps(taken.map(({ port }) => port)).join('; ')
      : `who has them: lsof ${lsof}; another demo, a node (exo stop) or a tunnel?`,
  );
}
