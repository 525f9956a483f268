/**
 * Asks `ssh -G` where a tunnel leads and how, with a deadline, and says why not in the words of a failure. One answer
 * serves one session: the next one sees a changed ~/.ssh/config. Used by the session and by the driver.
 */
import { type Clock, toExoError } from '../../shared/index.js';
import type { TunnelFailure } from '../failure.js';
import type { TunnelSpec } from '../spec/tunnel-spec.js';
import { dumped, parseConfigDump } from '../ssh/config-dump.js';
import { type Route, resolveRoute } from '../ssh/route.js';
import { runSsh } from '../ssh/run-ssh.js';
import { contextOf, explainExit } from './ssh-exit.js';

/** It reads files only, unless a `Match exec` of the user or a canonical host name asks the network. */
const QUERY_TIMEOUT_MS = 10_000;

/** The way, or why there is none. */
export type Resolved = { readonly route: Route } | { readonly failure: TunnelFailure };

/** Never rejects; an aborted query is a failure. */
export async function resolve(
  spec: TunnelSpec,
  signal: AbortSignal,
  components: { readonly clock: Clock },
): Promise<Resolved> {
  let failure: TunnelFailure | undefined;
  try {
    const route = await resolveRoute(spec, async (args) => {
      const answer = await runSsh(args, { timeoutMs: QUERY_TIMEOUT_MS, signal }, components);
      if (answer.exitCode === 0 && !answer.cut) return answer.stdout;
      failure = explainQuery(answer, spec);
      throw new Error(failure.message);
    });
    return { route };
  } catch (error) {
    return { failure: failure ?? { code: 'spec-refused', message: toExoError(error).message } };
  }
}

/** The ciphers that ssh itself would offer, in its order; undefined when it does not say. */
export async function builtInCiphers(components: { readonly clock: Clock }): Promise<string | undefined> {
  const answer = await runSsh(
    ['-F', 'none', '-G', '-T', '--', 'localhost'],
    { timeoutMs: QUERY_TIMEOUT_MS },
    components,
  );
  return dumped(parseConfigDump(answer.stdout), 'ciphers');
}

function explainQuery(answer: Awaited<ReturnType<typeof runSsh>>, spec: TunnelSpec): TunnelFailure {
  if (answer.error !== undefined) return explainStart(answer.error);
  if (answer.cut) {
    const message =
      'ssh did not say in time where the tunnel leads: a "Match exec" in your ssh configuration may hang; try "ssh -G" by hand';
    return { code: 'driver-fault', message };
  }
  const found = explainExit({ ...answer, established: false }, contextOf(spec));
  // It has not connected to anything: what it does not like is what it was given.
  if ('refused' in found || found.code === 'driver-fault') {
    const message = 'message' in found ? found.message : 'ssh does not take the description';
    return { code: 'spec-refused', message };
  }
  return found;
}

/** Why ssh could not be started. */
export function explainStart(error: NodeJS.ErrnoException): TunnelFailure {
  return error.code === 'ENOENT'
    ? {
        code: 'ssh-missing',
        message: 'there is no ssh in PATH; install the OpenSSH client, or use the driver ssh2',
      }
    : { code: 'driver-fault', message: `ssh could not be started (${error.code ?? error.message})` };
}
