/** How the parts of the ssh2 driver tell each other why a session cannot go on; the session turns it into its `closed`. */
import { printable } from '../../shared/index.js';
import type { TunnelFailure, TunnelFailureCode } from '../failure.js';

/** Carries a failure through a rejected promise. Never leaves this folder. */
export class SessionFailed extends Error {
  readonly failure: TunnelFailure;

  constructor(code: TunnelFailureCode, message: string, forwards?: readonly string[]) {
    super(message);
    this.failure = {
      code,
      message: printable(message, MESSAGE_CHARS_MAX),
      ...(forwards === undefined ? {} : { forwards }),
    };
  }
}

/** A sentence with a path, a fingerprint and a command. */
const MESSAGE_CHARS_MAX = 1_000;

/** The failure in any thrown thing. */
export function failureOf(error: unknown): TunnelFailure {
  if (error instanceof SessionFailed) return error.failure;
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: 'driver-fault',
    message: printable(`the ssh2 driver failed: ${message}`, MESSAGE_CHARS_MAX),
  };
}
