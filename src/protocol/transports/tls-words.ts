/** What goes wrong with encryption, in words and as an `ExoError`. Pure. */
import { ExoError } from '../../shared/index.js';

interface TlsError extends Error {
  readonly code?: string;
  readonly reason?: string;
}

const CODE_PREFIX = 'ERR_SSL_';

/** Codes of OpenSSL that say something a person can act upon; the rest is given as OpenSSL says it. */
const IN_WORDS: Readonly<Record<string, string>> = {
  PEER_DID_NOT_RETURN_A_CERTIFICATE: 'it shows no certificate with an Ed25519 key',
  TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it did not take our certificate',
  NO_SHARED_SIGNATURE_ALGORITHMS: 'it does not take Ed25519 keys',
  NO_SUITABLE_SIGNATURE_ALGORITHM: 'its certificate has no Ed25519 key',
  WRONG_SIGNATURE_TYPE: 'its certificate has no Ed25519 key',
  UNSUPPORTED_PROTOCOL: 'it does not speak TLS 1.3',
  TLSV1_ALERT_PROTOCOL_VERSION: 'it does not speak TLS 1.3',
  WRONG_VERSION_NUMBER: 'it does not speak TLS: an older program, or another service',
  DECRYPTION_FAILED_OR_BAD_RECORD_MAC: 'bytes were changed on the way',
  SSLV3_ALERT_BAD_RECORD_MAC: 'bytes were changed on the way to it',
};

/**
 * Why an encrypted stream broke: `tls-failed` for what TLS says, and what the stream below says when it has words of its own.
 * Undefined for an error of the system.
 */
export function brokenInWords(remote: string, cause: Error | undefined): ExoError | undefined {
  if (cause instanceof ExoError) return cause;
  const { code, reason, message } = (cause ?? {}) as Partial<TlsError>;
  if (!code?.startsWith(CODE_PREFIX)) return undefined;
  return tlsFailed(remote, IN_WORDS[code.slice(CODE_PREFIX.length)] ?? reason ?? message ?? code, cause);
}

/** The two cannot encrypt, or what is encrypted was damaged: `tls-failed`. */
export function tlsFailed(remote: string, why: string, cause?: Error): ExoError {
  return new ExoError('tls-failed', `encryption with ${remote} failed: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The handshake was not done in time. */
export function tlsTooSlow(remote: string, timeoutMs: number): ExoError {
  const words = `${remote} did not finish its TLS handshake within ${timeoutMs / 1000} s`;
  return new ExoError('handshake-timeout', words, { retryable: true });
}

/** The connection ended in the middle of the handshake: `connection-closed`. */
export function cutShort(remote: string, cause?: Error): ExoError {
  // Node says ECONNRESET of a FIN at this time, too, but then it was no system call.
  const { code, syscall } = (cause ?? {}) as NodeJS.ErrnoException;
  const how = code === 'ECONNRESET' && syscall !== undefined ? 'reset' : 'closed';
  const words = `${remote} ${how} the connection during the TLS handshake`;
  return new ExoError('connection-closed', words, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}
