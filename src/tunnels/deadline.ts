/** Work on the network with an end: a wait that does not outlast a signal, and a signal that is aborted in time. */
import { type Clock, ExoError } from '../shared/index.js';

/** `promise`, or the signal's reason as soon as it is aborted. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

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
    return await untilAborted(work(controller.signal), controller.signal);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}
