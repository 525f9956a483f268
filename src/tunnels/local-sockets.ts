/**
 * The sockets of this machine that probes and knocks use. A *knock* is one bare TCP connect that is closed at once, to see
 * whether a host takes connections again without starting an ssh for it; it says nothing about what listens there.
 */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, ExoError } from '../shared/index.js';
import { formatEndpoint } from './description/endpoint-text.js';
import type { Endpoint } from './description/tunnel-spec.js';
import { codeOfConnect, type TunnelFailure } from './failure.js';

/** Connections that this machine makes by itself, not through a tunnel. */
export interface LocalSockets {
  /** To the local end of a forward. Rejects with `connect-failed`, or the signal's reason. */
  connect(end: Endpoint, signal: AbortSignal): Promise<Duplex>;
  /** Resolves to `open`, or to why not. Never rejects; an aborted knock counts as not answered. */
  knock(
    address: { readonly host: string; readonly port: number },
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<'open' | TunnelFailure>;
}

/** The real ones. */
export function localSockets(clock: Clock): LocalSockets {
  return {
    connect: connectLocal,
    knock: (address, timeoutMs, signal) => knock(address, timeoutMs, clock, signal),
  };
}

function knock(
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
  const code = codeOfConnect(error.code) ?? 'connect-timeout';
  const what = {
    'connect-refused': `nothing listens on ${at}`,
    'network-unreachable': `there is no way to ${at} now`,
    'resolve-failed': `the name in ${at} leads nowhere now`,
  } as Partial<Record<TunnelFailure['code'], string>>;
  return { code, message: what[code] ?? `${at} does not answer (${error.code ?? 'unknown'})` };
}

function connectLocal(end: Endpoint, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket =
      end.kind === 'unix'
        ? connect({ path: end.path })
        : connect({ host: end.host, port: end.port, noDelay: true });
    const onAbort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve(socket);
    });
    // Stays on: the probe takes its own listeners away when it is done.
    socket.on('error', (cause) => {
      signal.removeEventListener('abort', onAbort);
      reject(
        new ExoError('connect-failed', `ssh does not listen at ${formatEndpoint(end)} any more`, { cause }),
      );
    });
  });
}
