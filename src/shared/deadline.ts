/**
 * Work with an end: it gets a signal that is aborted in time, and who waits for it waits no longer, also where it does not look at
 * the signal. For what may hang: a disk, a far node, a program of others. A plain pause is `sleep`.
 */
import { onceAborted, unlessAborted } from './abort.js';
import type { Clock, TimerHandle } from './clock.js';
import { ExoError } from './errors.js';

/** When work ends at the latest. */
export interface Deadline {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Whoever aborts it ends the work earlier, with its own reason. @default nobody does */
  readonly owner?: AbortSignal;
  /** What to say when the time is over; made at that moment. @default a retryable `request-timeout` */
  readonly tooLate?: () => Error;
}

/**
 * What `work` comes to. Rejects with what it throws, with `tooLate` after `timeoutMs`, or with the owner's reason (before the work
 * has begun where the owner is aborted already). The signal that the work gets is aborted with the same reason.
 */
export async function withDeadline<T>(
  { clock, timeoutMs, owner, tooLate = () => noAnswer(timeoutMs) }: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  owner?.throwIfAborted();
  const controller = new AbortController();
  // An owner may live as long as the program: `AbortSignal.any` would leave something at it for each deadline.
  const leave = owner && onceAborted(owner, () => controller.abort(owner.reason));
  const timer = clock.after(timeoutMs, () => controller.abort(tooLate()));
  try {
    return await unlessAborted(work(controller.signal), controller.signal);
  } finally {
    timer.cancel();
    leave?.();
  }
}

/**
 * Waits for work, and no longer than so: rejects as the work does where it does so in that time. For what goes on by itself, of which
 * whoever waits only wants to hear if it is soon. `signal` ends the wait with its reason.
 */
export async function waitAtMost(
  clock: Clock,
  waitMs: number,
  work: Promise<unknown>,
  signal?: AbortSignal,
): Promise<void> {
  let timer: TimerHandle | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = clock.after(waitMs, resolve);
  });
  try {
    const first = Promise.race([work, patience]);
    await (signal === undefined ? first : unlessAborted(first, signal));
  } finally {
    timer?.cancel();
  }
}

function noAnswer(timeoutMs: number): ExoError {
  return new ExoError('request-timeout', `no answer within ${timeoutMs / 1000} s`, { retryable: true });
}
