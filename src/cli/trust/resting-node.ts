/** Which node of this account the commands mean where none runs. */
import { exoHome, takeIdentity } from '../../node/home/index.js';
import type { CliHost } from '../host.js';
import { version } from '../version.js';

/** The id that the next start here takes; made where there is none yet. Throws `option-conflict` where that node runs. */
export function restingNodeId(host: CliHost, nodeId: string | undefined): string {
  const { identity, runFile } = takeIdentity(
    { home: exoHome(host.env), nodeId: nodeId ?? null, version: version() },
    { clock: host.clock, random: host.random },
  );
  runFile.remove();
  return identity.id;
}
