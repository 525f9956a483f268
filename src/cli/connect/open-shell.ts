/** Logs in to the far machine: the step of `exo connect` and `exo disconnect` that everything there goes through. */
import { ExoError } from '../../shared/index.js';
import {
  type CommandConnection,
  openCommandConnection,
  type TunnelFailureCode,
} from '../../tunnels/index.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import type { RemoteShell } from './remote-shell.js';
import { runToEnd } from './run-child.js';
import { type SshWords, specOf } from './ssh-words.js';

/** An open login. */
export interface Login extends RemoteShell {
  readonly facts: CommandConnection['facts'];
  close(): Promise<void>;
}

/** What to do, where the message does not say it. */
const HINTS: Partial<Record<TunnelFailureCode, (ssh: string) => string>> = {
  'auth-failed': (ssh) =>
    `no password is asked for: put your key there with "ssh-copy-id ${ssh}", or name one with -i`,
  'identity-unreadable': () => 'load it into the agent: ssh-add',
  'host-key-unknown': () => 'or let this command take it: --accept-new-host-key (it shows the fingerprint)',
  'resolve-failed': () => 'check the name, or use an IP address',
};

/** Logs in. Throws `tunnel-failed` with the reason, or the signal's reason. */
export async function openShell(
  host: CliHost,
  words: SshWords,
  acceptNewHostKey: boolean,
  signal: AbortSignal,
): Promise<Login> {
  const connection = await openCommandConnection(
    { spec: specOf(words), hostKey: acceptNewHostKey ? 'accept-new' : 'known', signal },
    { clock: host.clock },
  );
  if ('code' in connection) {
    const hint = HINTS[connection.code]?.(words.ssh);
    throw hint === undefined
      ? new ExoError('tunnel-failed', connection.message)
      : new HintedError('tunnel-failed', connection.message, hint);
  }
  return {
    facts: connection.facts,
    start: (line) => connection.start(line),
    run: (line, options) => runToEnd(host.clock, connection.start(line), options),
    close: () => connection.close(),
  };
}
