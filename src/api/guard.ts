/**
 * Which web pages may talk to the API. A page in the owner's browser can reach 127.0.0.1, and by DNS rebinding under a
 * name of its own: so the Host must be one of ours and the Origin our own. Who else may is decided in `access.ts`.
 * Pure but for the list of this machine's addresses, which is handed in.
 */
import { isLoopback } from '../shared/index.js';
import { HttpError } from './openai-errors.js';

/** What is allowed. */
export interface GuardOptions {
  /** The address that the server is bound to. */
  readonly host: string;
  readonly port: number;
  /** Further names under which the server is reached (a proxy, a published port). */
  readonly allowedHosts: readonly string[];
  /** Names and addresses of this machine; asked for when bound to more than loopback. */
  readonly machineHosts: () => readonly string[];
}

/** The parts of a request that decide. Header values are as received. */
export interface GuardedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

const ALWAYS_ALLOWED: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '::1']);

/** Throws `http-forbidden` for a request that may not go on, whoever sends it. */
export function checkRequest(options: GuardOptions, request: GuardedRequest): void {
  const host = single(request.headers['host']);
  if (!hostAllowed(options, host)) {
    throw new HttpError(
      'http-forbidden',
      `Host "${host ?? ''}" is not a name of this node; use http://127.0.0.1:${options.port}`,
    );
  }
  const origin = single(request.headers['origin']);
  if (origin !== undefined && !originAllowed(options, origin, host ?? '')) {
    throw new HttpError(
      'http-forbidden',
      `requests of web pages from ${origin} are not allowed; call the API from a program or from its own page`,
    );
  }
  const site = single(request.headers['sec-fetch-site']);
  if (origin === undefined && (site === 'cross-site' || site === 'same-site') && !opensPage(request)) {
    throw new HttpError('http-forbidden', 'requests of other web pages are not allowed');
  }
}

/**
 * Whether the page that sent the request is one of ours: the very host it talks to, or this port under another
 * loopback name. Null (a sandbox, a file) is not.
 */
export function originAllowed(options: GuardOptions, origin: string, host: string): boolean {
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    return false;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return false;
  if (url.host === host.toLowerCase()) return true;
  const port = url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : Number(url.port);
  return ALWAYS_ALLOWED.has(bareHost(url.host) ?? '') && port === options.port;
}

function hostAllowed(options: GuardOptions, header: string | undefined): boolean {
  const host = header === undefined ? undefined : bareHost(header);
  if (host === undefined) return false;
  if (ALWAYS_ALLOWED.has(host) || host === options.host.toLowerCase()) return true;
  if (options.allowedHosts.some((allowed) => allowed.toLowerCase() === host)) return true;
  return !isLoopback(options.host) && options.machineHosts().some((own) => own.toLowerCase() === host);
}

/** Host name or address of a Host header: no port, no brackets, no final dot, lower case. */
function bareHost(header: string): string | undefined {
  const match = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[a-z0-9._-]+?)\.?)(?::\d{1,5})?$/i.exec(header.trim());
  return (match?.groups?.['v6'] ?? match?.groups?.['name'])?.toLowerCase();
}

/** A person following a link to the page: it shows nothing to the page that has the link. */
function opensPage(request: GuardedRequest): boolean {
  return (
    request.method === 'GET' &&
    request.path === '/' &&
    single(request.headers['sec-fetch-mode']) === 'navigate' &&
    single(request.headers['sec-fetch-dest']) === 'document'
  );
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}
