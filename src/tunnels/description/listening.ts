/** Where a forward listens, compared with other listeners and with addresses that somebody dials. Pure. */
import { type Address, isLoopback } from '../../shared/index.js';
import { formatEndpoint } from './endpoint-text.js';
import type { Endpoint } from './tunnel-spec.js';

/** Whether a host to listen on means every address of its machine. */
export function isEvery(host: string): boolean {
  return host === '' || host === '*' || host === '0.0.0.0' || host === '::';
}

/** A listening end as Node takes it. "localhost" is 127.0.0.1, which must stand; ::1 is asked for afterwards, and may fail. */
export function listenPlace(
  listen: Endpoint,
): { readonly path: string } | { readonly port: number; readonly host?: string } {
  if (listen.kind === 'unix') return { path: listen.path };
  const { host, port } = listen;
  if (host === '' || host === '*') return { port };
  return { port, host: host === 'localhost' ? '127.0.0.1' : host };
}

/** Whether two listeners of one machine cannot both be there (port 0 fits beside everything). */
export function overlap(a: Endpoint, b: Endpoint): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return formatEndpoint(a) === formatEndpoint(b);
  if (a.port !== b.port || a.port === 0) return false;
  if (a.host === b.host || isEvery(a.host) || isEvery(b.host)) return true;
  return (a.host === 'localhost' && isLoopback(b.host)) || (b.host === 'localhost' && isLoopback(a.host));
}

/** Whether somebody on this machine who dials the address comes to the listener. */
export function listensAt(listen: Endpoint, address: Address): boolean {
  return overlap(listen, { kind: 'tcp', host: address.host, port: address.port });
}
