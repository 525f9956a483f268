/**
 * What an error of ssh2 or of its socket means, by its level and code and by how far the login had come. Pure. ssh2's levels:
 * `client-socket` (with the system's code), `client-timeout` (keepalives), `client-authentication`, `agent`, `handshake`,
 * `protocol`; a disconnect of the server carries its reason as a number (RFC 4253, 11.1).
 */
import { codeOfConnect } from '../failure.js';
import { SessionFailed } from './session-failed.js';

/** How far a connection has come. */
export type LoginPhase = 'connecting' | 'banner' | 'handshake' | 'login' | 'open';

/** What is known when the error comes. */
export interface LoginState {
  readonly phase: LoginPhase;
  /** `user@host` for messages. */
  readonly label: string;
  /** First line that came before any ssh banner. */
  readonly otherSpeech: string | undefined;
  /** Keys that were tried. */
  readonly offered: number;
  /** Nothing is left to try. */
  readonly exhausted: boolean;
  /** Key files that were left out, and why. */
  readonly leftOut: readonly string[];
}

/** An error as ssh2 makes them. */
export interface Ssh2Error {
  readonly message: string;
  readonly level?: string;
  readonly code?: string | number;
}

/** Reasons of RFC 4253, 11.1; OpenSSH says 2 for "Too many authentication failures". */
const [PROTOCOL_ERROR, KEX_FAILED, NO_MORE_METHODS] = [2, 3, 14];

/** Why the session is over; undefined for an error after which ssh2 goes on by itself (the next key). */
export function explainError(error: Ssh2Error, state: LoginState): SessionFailed | undefined {
  const { phase, label } = state;
  if (typeof error.code === 'number') return explainDisconnect(error.code, error.message, state);
  switch (error.level) {
    case 'agent':
      return undefined;
    case 'client-authentication':
      return state.exhausted ? explainRefusal(state) : undefined;
    case 'client-timeout':
      return new SessionFailed('keepalive-timeout', `${label} has not answered keepalives`);
    case 'client-socket':
      return explainSocket(error, state);
    case 'handshake':
      // ssh2 has no code for it, and says which of the five lists it was.
      if (/no matching/i.test(error.message)) {
        return new SessionFailed(
          'no-common-algorithm',
          `${label} and the driver ssh2 cannot agree (${error.message}); it offers AES-GCM only, as safe ciphers; use the driver openssh`,
        );
      }
      return new SessionFailed('driver-fault', `the handshake with ${label} failed: ${error.message}`);
    default:
      if (phase === 'banner') return explainEnd(state);
      if (phase === 'open')
        return new SessionFailed('connection-lost', `the connection to ${label} broke: ${error.message}`);
      return new SessionFailed('driver-fault', `${label} broke the rules of ssh: ${error.message}`);
  }
}

/** The connection closed without an error. */
export function explainEnd(state: LoginState): SessionFailed {
  const { phase, label, otherSpeech } = state;
  if (phase === 'connecting') return new SessionFailed('connection-lost', `the connection to ${label} broke`);
  if (phase === 'banner' && otherSpeech !== undefined) {
    if (speaksOtherwise(otherSpeech)) return notSsh(state);
    // sshd and its guards may say a line before they close: too many connections, an address that is not allowed.
    return new SessionFailed(
      'server-closed',
      `${label} ended the connection before ssh began, saying: ${otherSpeech}`,
    );
  }
  if (phase === 'banner') {
    return new SessionFailed('server-closed', `${label} ended the connection before it said anything`);
  }
  if (phase === 'open') return new SessionFailed('server-closed', `${label} ended the connection`);
  return new SessionFailed(
    'server-closed',
    `${label} ended the connection during the login (its sshd may be busy, or refuse this address)`,
  );
}

/** The time of a phase is over. */
export function explainLate(state: LoginState): SessionFailed {
  const { phase, label, otherSpeech } = state;
  if (phase === 'connecting') {
    return new SessionFailed(
      'connect-timeout',
      `${label} does not answer: the machine may be off, or a firewall may be in between`,
    );
  }
  if (phase === 'banner' && otherSpeech !== undefined) return notSsh(state);
  return new SessionFailed(
    'server-silent',
    phase === 'banner'
      ? `${label} accepts the connection and says nothing`
      : `${label} has begun the login and says nothing more`,
  );
}

function explainSocket(error: Ssh2Error, state: LoginState): SessionFailed {
  const { phase, label } = state;
  const code = phase === 'connecting' ? codeOfConnect(String(error.code)) : undefined;
  switch (code) {
    case undefined:
      return new SessionFailed('connection-lost', `the connection to ${label} broke: ${error.message}`);
    case 'resolve-failed':
      return new SessionFailed(
        code,
        `the name of ${label} leads nowhere (${error.message}); check it, or the name server`,
      );
    case 'connect-refused':
      return new SessionFailed(
        code,
        `nothing listens on the ssh port of ${label}: is sshd running there, and on that port?`,
      );
    case 'connect-timeout':
      return new SessionFailed(
        code,
        `${label} does not answer: the machine may be off, or a firewall may be in between`,
      );
    default:
      return new SessionFailed(code, `there is no way to ${label} now (${error.message})`);
  }
}

function explainDisconnect(reason: number, text: string, state: LoginState): SessionFailed {
  const { phase, label } = state;
  if (phase === 'login' && (reason === PROTOCOL_ERROR || reason === NO_MORE_METHODS) && state.offered > 0) {
    return new SessionFailed(
      'auth-failed',
      `${label} refused the login after ${state.offered} keys (${text}); name the right one with identity and set IdentitiesOnly`,
    );
  }
  if (phase === 'handshake' && reason === KEX_FAILED) {
    return new SessionFailed(
      'no-common-algorithm',
      `${label} does not accept what the driver ssh2 offers (${text})`,
    );
  }
  return new SessionFailed('server-closed', `${label} ended the connection: ${text}`);
}

/** The server takes no key of ours. */
function explainRefusal(state: LoginState): SessionFailed {
  const { label, offered, leftOut } = state;
  if (leftOut.length > 0) {
    const rest = offered === 0 ? '' : `; ${label} accepts none of the ${offered} others`;
    return new SessionFailed('identity-unreadable', `${leftOut.join('; ')}${rest}`);
  }
  return new SessionFailed(
    'auth-failed',
    offered === 0
      ? `there is no key to log in to ${label} with: make one with ssh-keygen, or name it with identity`
      : `${label} accepts none of the ${offered} keys; put the public key into its authorized_keys: ssh-copy-id`,
  );
}

function notSsh({ label, otherSpeech }: LoginState): SessionFailed {
  return new SessionFailed(
    'not-ssh',
    `what answers at ${label} does not speak ssh (it says "${(otherSpeech ?? '').slice(0, 80)}"); give the port that sshd listens on`,
  );
}

/** A web server, or no text at all. */
function speaksOtherwise(line: string): boolean {
  return /^(?:HTTP\/|<)/i.test(line) || /[^\t\x20-\x7e]/.test(line);
}
