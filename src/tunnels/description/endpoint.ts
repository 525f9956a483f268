/**
 * One end of a forward: `host:port`, `[v6]:port` or the path of a unix socket, read from the fields that forward.ts has
 * cut. `endpoint-text.ts` writes it back.
 */
import { isAbsolute } from 'node:path/posix';
import { LIMITS } from '../../shared/index.js';
import { checkHost } from './destination.js';
import { textFault, wordRefused } from './forbidden-text.js';
import type { Endpoint } from './tunnel-spec.js';

/** Whether a field of a forward is meant as the path of a unix socket. */
export function isSocketPath(field: string): boolean {
  return field.includes('/') || field.startsWith('~');
}

/** The unix socket of a field. Throws `tunnel-spec-invalid` about `text`. */
export function socketEndpoint(text: string, path: string): Endpoint {
  const fault = textFault(path);
  if (fault !== undefined) throw wordRefused(text, `names a socket that ${fault}`, 'choose a plain path');
  if (!isAbsolute(path)) {
    throw wordRefused(text, 'names a socket without its full path', 'write a path that begins with "/"');
  }
  // bind(2) takes so many bytes and ssh makes the socket beside it first.
  if (Buffer.byteLength(path) > LIMITS.tunnelSocketPathBytesMax) {
    throw wordRefused(
      text,
      `names a socket with a path of more than ${LIMITS.tunnelSocketPathBytesMax} bytes`,
      'choose a shorter one',
    );
  }
  return { kind: 'unix', path };
}

/** The TCP end of two fields; brackets have been removed. Throws `tunnel-spec-invalid` about `text`. */
export function tcpEndpoint(text: string, host: string, portText: string, zeroAllowed: boolean): Endpoint {
  const instead = 'write [address:]port:host:port';
  if (!/^\d+$/.test(portText)) throw wordRefused(text, `has "${portText}" where a port is due`, instead);
  const port = Number(portText);
  if (portText.length > 5 || port > 65535) {
    throw wordRefused(text, `has the port ${portText}, and ports end at 65535`, instead);
  }
  if (port === 0 && !zeroAllowed) {
    throw wordRefused(
      text,
      'has the port 0 as its target',
      'write the port that the far program listens on; 0 means "any free one" and only makes sense in front',
    );
  }
  if (host !== '*') checkHost(text, host, instead);
  return { kind: 'tcp', host, port };
}
