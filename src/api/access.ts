/**
 * Who may use which endpoint: one table of classes, and the check that each route passes before its handler. Host and
 * Origin were checked before (`guard.ts`); whose a token is, is told by `tokens.ts`.
 */
import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../shared/index.js';
import { HttpError } from './openai-errors.js';
import type { BearerTokens, Holder } from './tokens.js';

/**
 * What a route asks of its caller.
 * `open`: nothing. `local`: this machine, or any token. `trusted`: a token, also from this machine, because any local
 * process can connect to loopback. `owner`: the token of the run file.
 */
export type Access = 'open' | 'local' | 'trusted' | 'owner';

/** Who asks: whose token it is, else where the connection comes from. */
export type Caller = Holder | 'loopback' | 'stranger';

/** The classes of callers that each class of routes lets in. */
export const ACCESS: Readonly<Record<Access, ReadonlySet<Caller>>> = {
  open: new Set(['owner', 'mesh', 'session', 'loopback', 'stranger']),
  local: new Set(['owner', 'mesh', 'session', 'loopback']),
  trusted: new Set(['owner', 'mesh', 'session']),
  owner: new Set(['owner']),
};

/** Headers that a proxy adds: what comes through one is not from this machine, though the connection is. */
const OF_PROXIES = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

/** The parts of a request that decide. */
export type Asking = Pick<IncomingMessage, 'headers'> & {
  readonly socket: { readonly remoteAddress?: string | undefined };
};

/** Who sends a request. */
export function callerOf(tokens: BearerTokens, request: Asking): Caller {
  const holder = tokens.holder(request.headers.authorization);
  if (holder !== undefined) return holder;
  const { remoteAddress } = request.socket;
  const isHere = remoteAddress !== undefined && isLoopback(remoteAddress);
  return isHere && OF_PROXIES.every((name) => request.headers[name] === undefined) ? 'loopback' : 'stranger';
}

/** Whether a caller is let in; a long stream asks again, because sessions end and keys change. */
export function isAllowed(access: Access, tokens: BearerTokens, request: Asking): boolean {
  return ACCESS[access].has(callerOf(tokens, request));
}

/** Throws `http-unauthorized` (no token that is known) or `http-forbidden` (one that is not enough). */
export function authorize(access: Access, tokens: BearerTokens, request: Asking): void {
  const caller = callerOf(tokens, request);
  if (ACCESS[access].has(caller)) return;
  if (caller === 'mesh' || caller === 'session') {
    throw new HttpError(
      'http-forbidden',
      'only the owner of this node may do this: the token must be that of its run file ($EXO_HOME/run/<node-id>.json)',
    );
  }
  throw new HttpError('http-unauthorized', WAYS_IN[access]);
}

const ANY_TOKEN =
  'the token of the node’s run file ($EXO_HOME/run/<node-id>.json), or the API token of the mesh ("exo key show")';
const WAYS_IN: Readonly<Record<Access, string>> = {
  open: '',
  local: `requests from other machines need "Authorization: Bearer <token>": ${ANY_TOKEN}`,
  trusted: `this needs "Authorization: Bearer <token>", from this machine too: ${ANY_TOKEN}`,
  owner:
    'only the owner may do this: send "Authorization: Bearer <token>" with the token of the node’s run file ($EXO_HOME/run/<node-id>.json)',
};
