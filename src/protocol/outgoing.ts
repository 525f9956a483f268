/**
 * Small pure parts of a session: how a message leaves, and how an error that came becomes one of ours.
 */
import { ExoError, isErrorCode } from '../shared/index.js';
import { TYPE, typeLimitBytes } from './frame.js';
import { type EncodedBody, encodeBase, encodeCorrelated } from './messages/message-encoder.js';
import type { HealthResponse, Message } from './messages/messages.js';
import type { Lane } from './outbox.js';

/** Which lane a type takes: these overtake everything else. */
const LANES: Lane[] = new Array<Lane>(0x80).fill('ordinary');
for (const type of [
  TYPE.healthRequest,
  TYPE.healthResponse,
  TYPE.goodbye,
  TYPE.notice,
  TYPE.cancelRequest,
  TYPE.authRequest,
  TYPE.authResponse,
  TYPE.probeRequest,
  TYPE.probeResponse,
  TYPE.errorResponse,
]) {
  LANES[type] = 'control';
}

/** The answer to a health check without a hello. */
export const HEALTHY: HealthResponse = { kind: 'health-response', isHealthy: true };

/** Which lane a message of this type (without bit 7) takes. */
export function laneOf(type: number): Lane {
  return LANES[type] ?? 'ordinary';
}

/** The body of a message. Throws `frame-too-large` when the other side would refuse it, `tensor-invalid`. */
export function encodeChecked(message: Message, type: number, correlated: boolean): EncodedBody {
  const body = correlated ? encodeCorrelated(message) : encodeBase(message);
  const bytes = body.text.length + (body.payload?.length ?? 0);
  if (bytes > typeLimitBytes(type)) {
    throw new ExoError(
      'frame-too-large',
      `a ${message.kind} of ${bytes} bytes; at most ${typeLimitBytes(type)} can be sent`,
    );
  }
  return body;
}

/** An error answer as the error that the caller sees. A code that is not ours becomes `request-failed`. */
export function remoteError(answer: {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}) {
  return isErrorCode(answer.code)
    ? new ExoError(answer.code, answer.message, { retryable: answer.retryable })
    : new ExoError('request-failed', `${answer.code}: ${answer.message}`, { retryable: answer.retryable });
}
