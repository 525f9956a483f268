/** What the operating system says about dialling and listening, in words and as an `ExoError`. Pure. */
import { type Address, ExoError, formatAddress } from '../../shared/index.js';

/** An IP as people write it: an IPv4 address that came in over an IPv6 socket loses its `::ffff:`. */
export function plainHost(host: string): string {
  return host.startsWith('::ffff:') && host.includes('.') ? host.slice('::ffff:'.length) : host;
}

/** Why a dial failed: code `connect-failed`, the system's error as cause. */
export function dialError(address: Address, cause: Error): ExoError {
  return new ExoError('connect-failed', dialInWords(address, cause), { cause, retryable: true });
}

/** No answer within the dial's deadline. */
export function dialTimeout(address: Address, timeoutMs: number): ExoError {
  const words = `no answer from ${formatAddress(address)} within ${timeoutMs / 1000} s: the machine is off, or a firewall drops the packets`;
  return new ExoError('connect-failed', words, { retryable: true });
}

/** The caller gave the dial up; its reason is the cause. */
export function dialAborted(address: Address, reason: unknown): ExoError {
  const words = `the connection attempt to ${formatAddress(address)} was given up`;
  return new ExoError('connect-failed', words, { cause: reason, retryable: true });
}

/** Nothing listens at the address. */
export function refusedInWords(address: Address): string {
  return `${formatAddress(address)} refused the connection: nothing listens there`;
}

/** The host is no known name. */
export function nameUnknownInWords(address: Address): string {
  return `the name ${address.host} is unknown; check its spelling or use an IP address`;
}

function dialInWords(address: Address, cause: Error): string {
  const where = formatAddress(address);
  switch (systemCode(cause)) {
    case 'ECONNREFUSED':
      return refusedInWords(address);
    case 'ECONNRESET':
      return `${where} reset the connection while it was being made`;
    case 'ETIMEDOUT':
      return `no answer from ${where}: the machine is off, or a firewall drops the packets`;
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
      return `${where} is unreachable: no machine answers at that address`;
    case 'ENETUNREACH':
    case 'ENETDOWN':
      return `${where} is unreachable: this machine has no route to it`;
    case 'ENOTFOUND':
      return nameUnknownInWords(address);
    case 'EAI_AGAIN':
      return `the name ${address.host} could not be looked up: the name server does not answer`;
    case 'EACCES':
    case 'EPERM':
      return `this machine does not allow connections to ${where}: look at its firewall`;
    case 'EADDRNOTAVAIL':
      return `${where} cannot be reached from here: no local address or port is left for it`;
    case 'EMFILE':
    case 'ENFILE':
      return `no connection to ${where}: this machine has no file descriptors left`;
    default:
      return `no connection to ${where}: ${cause.message}`;
  }
}

/** A node dialled itself without a listener: TCP's simultaneous open connects a port to itself. */
export function isSelfConnected(socket: {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}

/** The port is taken. The caller knows which option chooses it, and may say so. */
export function portInUse(address: Address, cause?: Error): ExoError {
  return new ExoError('port-in-use', `port ${address.port} is taken by another program on this machine`, {
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The address to listen at belongs to another machine. */
export function notOurAddress(address: Address, cause?: Error): ExoError {
  const words = `${address.host} is not an address of this machine; listen at one of its own, or at 0.0.0.0 for all`;
  return new ExoError('option-invalid', words, { ...(cause === undefined ? {} : { cause }) });
}

/** Why listening failed: `port-in-use`, or `option-invalid` for an address or port that cannot be used. */
export function listenError(address: Address, cause: Error): ExoError {
  switch (systemCode(cause)) {
    case 'EADDRINUSE':
      return portInUse(address, cause);
    case 'EADDRNOTAVAIL':
      return notOurAddress(address, cause);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ExoError('option-invalid', nameUnknownInWords(address), { cause });
    case 'EACCES':
    case 'EPERM':
      return new ExoError(
        'option-invalid',
        `this user may not listen at port ${address.port}; choose a port from 1024 up`,
        { cause },
      );
    default:
      return new ExoError('option-invalid', `cannot listen at ${formatAddress(address)}: ${cause.message}`, {
        cause,
      });
  }
}

function systemCode(error: Error): string | undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined) return code;
  // Several addresses of one name were tried: the first failure stands for all.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return first instanceof Error ? (first as NodeJS.ErrnoException).code : undefined;
}
