/** Work on the network with an end: it gets a signal that is aborted in time. */
import { type Clock, ExoError, unlessAborted } from '../shared/index.js';

/**
 * Gives `work` a signal that is aborted with `request-timeout` after `timeoutMs`, or with the reason of `signal`, and
 * rejects then, also where the work does not listen to it: what hangs must not hold up its tunnel.
 */
export async function withDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = clock.after(timeoutMs, () =>
    controller.abort(new ExoError('request-timeout', `no answer within ${timeoutMs} ms`)),
  );
  try {
    return await unlessAborted(work(controller.signal), controller.signal);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}
