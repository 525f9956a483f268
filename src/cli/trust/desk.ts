/** Which keys a command means: those of the running node that is named or runs alone here, else those of the files. */
import { formatAddress } from '../../shared/index.js';
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

/** Throws `node-ambiguous` where several run and none is named; otherwise as `openLocalDesk`. */
export async function openDesk(host: CliHost, options: DeskOptions): Promise<TrustDesk> {
  const named = namedTarget(options.api, host.env);
  if (named !== undefined) return new RemoteDesk(host.clock, named, named.run?.id ?? formatAddress(named));
  const running = runningNodes(host.env).filter(
    ({ id }) => options.nodeId === undefined || id === options.nodeId,
  );
  if (running.length > 1) throw ambiguous(running);
  const [only] = running;
  if (only !== undefined) return new RemoteDesk(host.clock, runTarget(only), only.id);
  return (await import('./local-desk.js')).openLocalDesk(host, options.nodeId);
}
