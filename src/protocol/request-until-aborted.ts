/**
 * A request that its caller may give up. Apart from `connection.ts`, its only user, because most requests come without a signal
 * and should not pay for one.
 */
import { ExoError, onceAborted } from '../shared/index.js';
import type { Message } from './messages/messages.js';
import type { Session } from './session.js';

/** As `Session.request`; rejects with `request-cancelled` when `signal` is aborted first. */
export function requestUntilAborted(
  session: Session,
  signal: AbortSignal,
  message: Message,
  nowMs: number,
  timeoutMs: number,
  resolve: (answer: Message) => void,
  reject: (error: ExoError) => void,
): void {
  const cancelled = () =>
    new ExoError('request-cancelled', `the ${message.kind} was given up`, { cause: signal.reason });
  if (signal.aborted) {
    reject(cancelled());
    return;
  }
  const done = onceAborted(signal, () => {
    if (pending !== undefined) session.cancel(pending, cancelled());
  });
  const pending = session.request(
    message,
    nowMs,
    timeoutMs,
    (answer) => {
      done();
      resolve(answer);
    },
    (error) => {
      done();
      reject(error);
    },
  );
}
