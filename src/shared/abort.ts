/** Work that cannot be ended, waited for no longer than a signal says. */
import { setMaxListeners } from 'node:events';

/**
 * Calls `listener` when the signal is aborted, until what it returns is called. However many do so at once: a signal of a whole
 * program has one for each request that runs.
 */
export function onceAborted(signal: AbortSignal, listener: () => void): () => void {
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** What `work` comes to, or the signal's reason as soon as it is aborted; `work` goes on for others. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whoever goes first does not leave its failure to nobody.
  work.catch(() => undefined);
  signal.throwIfAborted();
  let leave: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    leave = onceAborted(signal, () => reject(signal.reason));
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    leave();
  }
}

/**
 * What `work` comes to, with a signal that is aborted as soon as one of these is, and with its reason. Nothing is left at them:
 * `AbortSignal.any` would leave a reference at a signal that lives as long as the program, for each call.
 */
export async function untilAnyAborted<T>(
  signals: ReadonlyArray<AbortSignal | undefined>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const leaving = signals.flatMap((signal) => {
    if (signal === undefined) return [];
    const follow = () => controller.abort(signal.reason);
    if (signal.aborted) follow();
    return [onceAborted(signal, follow)];
  });
  try {
    return await work(controller.signal);
  } finally {
    for (const leave of leaving) leave();
  }
}
