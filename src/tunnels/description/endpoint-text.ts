/** One end of a forward as ssh writes it. Apart from its parser, so that pure files can speak of addresses. */
import type { Endpoint } from './tunnel-spec.js';

/** `host:port`, `[v6]:port`, `*:port` or a path. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return endpoint.path;
  const { host, port } = endpoint;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
