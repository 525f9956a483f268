/**
 * Why ssh ended, from its exit code, signal and the lines it wrote at LogLevel DEBUG1 under LC_ALL=C. Pure. ssh has one
 * exit code (255) for everything of its own, so here, with ssh-exit-table.ts and openssh/ssh-said.ts, is the one place where the
 * texts of another program are read. A text that is not in the table costs only the name of the reason (`driver-fault`,
 * tried again), never a wrong decision to give up.
 */
import { printable } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { TunnelFailure } from '../failure.js';
import { EXIT_ROWS, type SessionRefused, type SshExitContext } from './ssh-exit-table.js';

export type { SessionRefused, SshExitContext } from './ssh-exit-table.js';

/** How a process ended. */
export interface SshExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The kept part of stderr. */
  readonly stderr: string;
  /** The login had succeeded: the control socket was there. */
  readonly established: boolean;
}

/** What a description gives to the sentences. */
export function contextOf({ destination, identity, knownHosts }: TunnelSpec): SshExitContext {
  return { destination: destination.text, identity, ...(knownHosts === undefined ? {} : { knownHosts }) };
}

/** The reason as a failure, or that the server refused the session of the connection. */
export function explainExit(exit: SshExit, context: SshExitContext): TunnelFailure | SessionRefused {
  if (exit.signal !== null) return { code: 'killed', message: `ssh was ended by ${exit.signal}` };
  for (const row of EXIT_ROWS) {
    if (row.phase !== undefined && (row.phase === 'established') !== exit.established) continue;
    const match = row.line.exec(exit.stderr);
    if (match === null) continue;
    if (row.beside?.test(exit.stderr) === false || row.without?.test(exit.stderr) === true) continue;
    if (row.code === 'pty' || row.code === 'session') return { refused: row.code };
    return { code: row.code, message: printable(row.say(match, context), MESSAGE_CHARS_MAX) };
  }
  if (exit.exitCode === 0) return { code: 'killed', message: 'ssh was asked to end by another program' };
  return { code: 'driver-fault', message: printable(sayUnexplained(exit), MESSAGE_CHARS_MAX) };
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

const MESSAGE_CHARS_MAX = 400;

function sayUnexplained(exit: SshExit): string {
  const last = exit.stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(?:debug\d: |Transferred: |Bytes per second: )/.test(line))
    .at(-1);
  return `ssh ended with exit code ${exit.exitCode ?? 'unknown'}${last === undefined ? '' : `: ${last}`}`;
}
