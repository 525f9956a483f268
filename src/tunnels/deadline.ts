/** Work on the network with an end: a signal of its own that is aborted in time, or with the outer one. */
import { type Clock, ExoError } from '../shared/index.js';

/** Gives `work` a signal that is aborted with `request-timeout` after `timeoutMs`, or with the reason of `signal`. */
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
    return await work(controller.signal);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}
