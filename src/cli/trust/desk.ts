/** Which keys a command means: those of the running node that is named or runs alone here, else those of the files. */
import { formatAddress, sleep, toExoError } from '../../shared/index.js';
import type { CliHost } from '../host.js';
import { ambiguous, namedTarget, runningNodes, runTarget } from '../target.js';
import { RemoteDesk } from './remote-desk.js';
import type { TrustDesk } from './shapes.js';

/** What all these commands take. */
export interface DeskOptions {
  readonly api?: string;
  readonly nodeId?: string;
  readonly json?: boolean;
}

/** In which a node that has just taken its id can be asked. */
const STARTS_WITHIN_MS = 3_000;
const LOOK_EVERY_MS = 100;

/** Throws `node-ambiguous` where several run and none is named; otherwise as `openLocalDesk`. */
export async function openDesk(host: CliHost, options: DeskOptions): Promise<TrustDesk> {
  const named = namedTarget(options.api, host.env);
  if (named !== undefined) return new RemoteDesk(host.clock, named, named.run?.id ?? formatAddress(named));
  const { openLocalDesk } = await import('./local-desk.js');
  const untilMs = host.clock.now() + STARTS_WITHIN_MS;
  for (;;) {
    const running = runningDesk(host, options.nodeId);
    if (running !== undefined) return running;
    try {
      return await openLocalDesk(host, options.nodeId);
    } catch (error) {
      // One that starts has its id a moment before it can be asked.
      const mayStart = toExoError(error).code === 'option-conflict';
      if (!mayStart || host.clock.now() >= untilMs) throw error;
    }
    await sleep(host.clock, LOOK_EVERY_MS);
  }
}

function runningDesk(host: CliHost, nodeId: string | undefined): TrustDesk | undefined {
  const running = runningNodes(host.env).filter(({ id }) => nodeId === undefined || id === nodeId);
  if (running.length > 1) throw ambiguous(running);
  const [only] = running;
  return only && new RemoteDesk(host.clock, runTarget(only), only.id);
}
