/** What was in `$EXO_HOME` before a node was started there for the first time, so that a failure leaves it as it was. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';

/** What a node and `exo connect` make there. Nothing else is ever removed. */
const OURS = ['node-id', 'node.log', 'run', 'connect', 'tunnels', 'nodes'] as const;

/** Call before anything is made; the result removes what has been made since. */
export function traceHome(home: string): () => void {
  const before = entriesOf(home);
  const missing = missingFolders(home);
  return () => {
    for (const name of OURS) {
      if (before?.has(name) !== true) rmSync(path.join(home, name), { recursive: true, force: true });
    }
    try {
      for (const folder of missing) rmdirSync(folder);
    } catch {
      // Something of somebody else's is in it by now, or it was never made.
    }
  };
}

/** The folder and those above it that are not there, innermost first. */
function missingFolders(home: string): string[] {
  const missing: string[] = [];
  for (let at = home; !existsSync(at) && at !== path.dirname(at); at = path.dirname(at)) missing.push(at);
  return missing;
}

function entriesOf(home: string): ReadonlySet<string> | undefined {
  try {
    return new Set(readdirSync(home));
  } catch {
    return undefined;
  }
}
