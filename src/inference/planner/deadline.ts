/** Work with a deadline, in a word of the planner's own: also work that does not look at its signal ends then for who waits. */
import { type Clock, ExoError, unlessAborted } from '../../shared/index.js';

/**
 * The work's outcome, or the owner's reason as soon as it is aborted. Rejects with `request-timeout` after `timeoutMs`; the work's own
 * signal is aborted in both cases.
 */
export async function within<T>(
  timeoutMs: number,
  { clock, owner }: { readonly clock: Clock; readonly owner: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = clock.after(timeoutMs, () =>
    late.abort(
      new ExoError('request-timeout', `it took more than ${timeoutMs / 1000} s`, { retryable: true }),
    ),
  );
  const signal = AbortSignal.any([owner, late.signal]);
  try {
    return await unlessAborted(work(signal), signal);
  } finally {
    timer.cancel();
  }
}
