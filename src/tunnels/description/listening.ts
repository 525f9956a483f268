/** Where a forward listens, compared with other listeners and with addresses that somebody dials. Pure. */
import { type Address, isLoopback } from '../../shared/index.js';
import { formatEndpoint } from './endpoint-text.js';
import type { Endpoint } from './tunnel-spec.js';

/** Whether a host to listen on means every address of its machine. */
export function isEvery(host: string): boolean {
  return host === '' || host === '*' || host === '0.0.0.0' || host === '::';
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
