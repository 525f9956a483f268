/**
 * Runs ssh for its answer (`-V`, `-G`, one command on the far machine), with a deadline and a bound on the output. Used by
 * what asks once; sessions use `SshChild` themselves.
 */
import { type Clock, LIMITS } from '../../shared/index.js';
import { type ChildExit, SshChild } from './ssh-child.js';

/** What it said. */
export interface SshAnswer extends ChildExit {
  readonly stdout: string;
  readonly stderr: string;
  /** Not all of it: it was ended because of the deadline, the signal, or too much output, or something held its output. */
  readonly cut: boolean;
}

/** Never rejects: an aborted run ends as one that was cut. */
export async function runSsh(
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly signal?: AbortSignal;
    /** Called at once with its pid. */
    readonly onStart?: (pid: number) => void;
  },
  components: { readonly clock: Clock },
): Promise<SshAnswer> {
  let stdout = '';
  let cut = false;
  const stop = () => {
    cut = true;
    void child.end();
  };
  const child = new SshChild(
    args,
    {
      onStdout(text) {
        if (stdout.length + text.length > LIMITS.sshConfigCharsMax) stop();
        else stdout += text;
      },
    },
    components,
  );
  if (child.pid !== undefined) options.onStart?.(child.pid);
  const timer = components.clock.after(options.timeoutMs, stop);
  if (options.signal?.aborted) stop();
  options.signal?.addEventListener('abort', stop, { once: true });
  const exit = await child.exited;
  timer.cancel();
  options.signal?.removeEventListener('abort', stop);
  return { ...exit, stdout, stderr: child.stderr, cut: cut || !exit.complete };
}
