/** Errors as they cross the ring: from a failed hop to words, and over the wire to the entry node. Pure. */
import type { Result } from '../../protocol/index.js';
import { type ErrorCode, ExoError, isErrorCode, printable, toExoError } from '../../shared/index.js';

/** Another try may find another ring, or room. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  'peer-lost',
  'ring-incomplete',
  'overloaded',
  'request-timeout',
  'generation-timeout',
]);

/** No connection, perhaps never one. For a generation it is the same as one that is gone. */
const UNREACHED: ReadonlySet<ErrorCode> = new Set(['connect-failed', 'peer-unreachable', 'peer-unknown']);

/** An error with a message, `retryable` by its code. */
export function ringError(code: ErrorCode, message: string, cause?: unknown): ExoError {
  return new ExoError(code, message, { retryable: RETRYABLE.has(code), cause });
}

/** Why the next node could not be given work. */
export function hopError(nodeId: string, cause: unknown): ExoError {
  const error = toExoError(cause, 'request-failed');
  const who = printable(nodeId, 60);
  if (UNREACHED.has(error.code)) {
    return ringError('peer-lost', `node ${who} cannot be reached from here (${error.message})`, cause);
  }
  if (error.code === 'connection-closed') {
    return ringError('peer-lost', `node ${who} left the ring (${error.message}); ask again`, cause);
  }
  if (error.code === 'request-timeout') {
    return ringError(
      'request-timeout',
      `node ${who} did not take its part of the work in time; ask again`,
      cause,
    );
  }
  return error;
}

/** A result that ends a generation early. */
export function failedResult(requestId: string, error: ExoError): Result {
  return {
    kind: 'result',
    requestId,
    result: [],
    isFinished: true,
    error: {
      code: error.code,
      message: printable(error.message, 500),
      // The code alone tells it of the others.
      ...(error.retryable && !RETRYABLE.has(error.code) ? { retryable: true } : {}),
    },
  };
}

/** What a result says went wrong; undefined when nothing did. Codes that this version does not know become `request-failed`. */
export function resultError(result: Result): ExoError | undefined {
  if (result.error === undefined) return undefined;
  const known = isErrorCode(result.error.code) ? result.error.code : 'request-failed';
  const retryable = RETRYABLE.has(known) || result.error.retryable === true;
  return new ExoError(known, printable(result.error.message, 500), { retryable });
}

/** Why what still comes for a request is refused. */
export function over(requestId: string): ExoError {
  return ringError('request-cancelled', `request ${requestId} is over`);
}
