/** A child process run to its end: bounded output, a deadline, and gone when the caller has given up. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { pipeline } from 'node:stream';
import { type Clock, ExoError, LIMITS } from '../../shared/index.js';
import type { RunOptions, RunResult } from './remote-shell.js';

/** Resolves when the child has ended and its output is complete. Rejects with the signal's reason or `request-timeout`. */
export async function runToEnd(
  clock: Clock,
  child: ChildProcessWithoutNullStreams,
  options: RunOptions,
): Promise<RunResult> {
  let stdout = '';
  let stderr = '';
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    endNow(child);
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (stdout.length > LIMITS.childOutputCharsMax)
      fail(new ExoError('tunnel-failed', 'the far side prints without end'));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-LIMITS.childOutputCharsMax);
  });
  if (options.input === undefined) child.stdin.on('error', () => undefined).end();
  // An end of the child before it has read everything is told by its exit code.
  else pipeline(options.input, child.stdin, () => undefined);
  const timer = clock.after(options.timeoutMs, () =>
    fail(new ExoError('request-timeout', `no answer within ${options.timeoutMs / 1000} s`)),
  );
  const onAbort = () => fail(options.signal.reason);
  if (options.signal.aborted) onAbort();
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const code = await new Promise<number | null>((resolve) => {
      child.once('error', (error) => {
        fail(new ExoError('tunnel-failed', `ssh could not be started: ${error.message}`));
        resolve(null);
      });
      child.once('close', (exit) => resolve(exit));
    });
    if (failure !== undefined) throw failure;
    return { code, stdout, stderr };
  } finally {
    timer.cancel();
    options.signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Ends a child whose end is not waited for any longer. Its streams are closed with it: the ssh that shares its connection has
 * them too and keeps them until the far command ends, which may be never, and so long `close` would not come.
 */
export function endNow(child: ChildProcessWithoutNullStreams): void {
  child.kill('SIGKILL');
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
}
