/**
 * A knock: one bare TCP connect that is closed at once, to see whether a host takes connections again without starting an
 * ssh for it. Says nothing about what listens there.
 */
import { connect } from 'node:net';
import type { Clock } from '../shared/index.js';
import type { TunnelFailure } from './failure.js';

const CODES: Readonly<Record<string, TunnelFailure['code']>> = {
  ECONNREFUSED: 'connect-refused',
  ENETUNREACH: 'network-unreachable',
  EHOSTUNREACH: 'network-unreachable',
  ENETDOWN: 'network-unreachable',
  EADDRNOTAVAIL: 'network-unreachable',
  ENOTFOUND: 'resolve-failed',
  EAI_AGAIN: 'resolve-failed',
};

/** Resolves to `open`, or to why not. Never rejects; an aborted knock counts as not answered. */
export function knock(
  address: { readonly host: string; readonly port: number },
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<'open' | TunnelFailure> {
  const at = `${address.host} port ${address.port}`;
  return new Promise((resolve) => {
    const socket = connect({ host: address.host, port: address.port });
    const finish = (result: 'open' | TunnelFailure) => {
      timer.cancel();
      signal.removeEventListener('abort', onLate);
      socket.destroy();
      resolve(result);
    };
    const onLate = () => finish({ code: 'connect-timeout', message: `${at} does not answer` });
    const timer = clock.after(timeoutMs, onLate);
    socket.once('connect', () => finish('open'));
    // Stays on: a socket may have more to say after it was destroyed.
    socket.on('error', (error: NodeJS.ErrnoException) => finish(failureOf(error, at)));
    if (signal.aborted) onLate();
    else signal.addEventListener('abort', onLate, { once: true });
  });
}

function failureOf(error: NodeJS.ErrnoException, at: string): TunnelFailure {
  const code = CODES[error.code ?? ''] ?? 'connect-timeout';
  const what = {
    'connect-refused': `nothing listens on ${at}`,
    'network-unreachable': `there is no way to ${at} now`,
    'resolve-failed': `the name in ${at} leads nowhere now`,
  } as Partial<Record<TunnelFailure['code'], string>>;
  return { code, message: what[code] ?? `${at} does not answer (${error.code ?? 'unknown'})` };
}
