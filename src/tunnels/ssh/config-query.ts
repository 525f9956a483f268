/**
 * Asks the system's ssh what its configuration says (`ssh -G`), with a deadline, and says why not in the words of a failure.
 * Both drivers ask here.
 */
import type { Clock } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { TunnelFailure } from '../failure.js';
import { dumped, parseConfigDump } from './config-dump.js';
import { runSsh, type SshAnswer } from './run-ssh.js';
import { contextOf, explainExit, explainStart } from './ssh-exit.js';

/** It reads files only, unless a `Match exec` of the user or a canonical host name asks the network. */
const QUERY_TIMEOUT_MS = 10_000;

/** ssh gave no answer, and why; `ssh-missing` where there is no ssh. */
export class ConfigQueryFailed extends Error {
  readonly failure: TunnelFailure;

  constructor(failure: TunnelFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** What ssh prints for these arguments. Throws `ConfigQueryFailed`, or the signal's reason. */
export async function queryConfig(
  args: readonly string[],
  spec: TunnelSpec,
  signal: AbortSignal,
  components: { readonly clock: Clock },
): Promise<string> {
  const answer = await runSsh(args, { timeoutMs: QUERY_TIMEOUT_MS, signal }, components);
  signal.throwIfAborted();
  if (answer.exitCode === 0 && !answer.cut) return answer.stdout;
  throw new ConfigQueryFailed(explainQuery(answer, spec));
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

function explainQuery(answer: SshAnswer, spec: TunnelSpec): TunnelFailure {
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
