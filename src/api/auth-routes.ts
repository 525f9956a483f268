/**
 * A session by ssh key: a challenge, its signature, a token; the shapes are those of cilo's agent. There only where the
 * operator named an authorized_keys file. Under `/auth/` errors have cilo's form too, under `/v1/auth/` the one of all
 * other endpoints. Keys, challenges and sessions are kept by `trust`.
 */
import * as z from 'zod';
import { LIMITS, SourceLimiter, toExoError } from '../shared/index.js';
import { readJsonBody } from './body.js';
import { errorAnswer, HttpError } from './openai-errors.js';
import type { SshSessions } from './ports.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { bearerOf } from './tokens.js';

const text = (what: string, charsMax: number) =>
  z
    .string({ error: `must be ${what}` })
    .min(1, { error: 'must not be empty' })
    .max(charsMax, { error: `must have at most ${charsMax} characters` });

const publicKey = text('a public key as in authorized_keys', LIMITS.sshKeyLineCharsMax);
const challengeBody = z.looseObject({ public_key: publicKey }, { error: 'must be a JSON object' });
const connectBody = z.looseObject(
  {
    public_key: publicKey,
    challenge: text('the challenge as it was given', LIMITS.sshChallengeCharsMax),
    signature: text('the signature, in base64', LIMITS.sshKeyLineCharsMax),
    signature_format: text('the name of the signature algorithm', LIMITS.sshFormatCharsMax).nullish(),
  },
  { error: 'must be a JSON object' },
);

/** `/auth/challenge`, `/auth/connect` and `/auth/disconnect`, and the same under `/v1`. */
export function authRoutes(api: ApiContext): Route[] {
  const limiter = new SourceLimiter(
    LIMITS.httpAuthPerSecondPerSource,
    LIMITS.httpAuthBurst,
    LIMITS.httpAuthSourcesMax,
  );
  const enter = (request: ApiRequest): SshSessions => {
    const { sessions } = api.trust;
    if (sessions === undefined) throw notHere();
    if (!limiter.take(request.env.incoming.socket.remoteAddress ?? '', api.clock.now())) {
      api.sheds.add('http-sign-in-rate');
      throw new HttpError('overloaded', 'too many sign-ins from this address; wait a second', {
        retryable: true,
      });
    }
    return sessions;
  };
  return [
    {
      method: 'POST',
      paths: ['/auth/challenge', '/v1/auth/challenge'],
      access: 'open',
      handle: (request) => challenge(request, enter(request)),
    },
    {
      method: 'POST',
      paths: ['/auth/connect', '/v1/auth/connect'],
      access: 'open',
      handle: (request) => connect(api, request, enter(request)),
    },
    {
      method: 'DELETE',
      paths: ['/auth/disconnect', '/v1/auth/disconnect'],
      access: 'trusted',
      handle: (request) => disconnect(api, request),
    },
  ];
}

async function challenge(request: ApiRequest, sessions: SshSessions): Promise<Response> {
  const body = await readJsonBody(request.env.incoming, challengeBody, LIMITS.httpSmallBodyBytesMax);
  const given = sessions.challenge(body.public_key);
  return request.json({ challenge: given.challenge, expires_at: stamp(given.expiresAtMs) }, 200, NO_STORE);
}

async function connect(api: ApiContext, request: ApiRequest, sessions: SshSessions): Promise<Response> {
  const { incoming } = request.env;
  const body = await readJsonBody(incoming, connectBody, LIMITS.httpSmallBodyBytesMax);
  const session = await sessions.connect({
    publicKey: body.public_key,
    challenge: body.challenge,
    signature: body.signature,
    ...(body.signature_format == null ? {} : { signatureFormat: body.signature_format }),
  });
  api.log.info('api-session-opened', { from: incoming.socket.remoteAddress ?? '' });
  return request.json({ token: session.token, expires_at: stamp(session.expiresAtMs) }, 200, NO_STORE);
}

function disconnect(api: ApiContext, request: ApiRequest): Response {
  const token = bearerOf(request.env.incoming.headers.authorization) ?? '';
  if (api.trust.sessions === undefined) throw notHere();
  if (!api.trust.sessions.disconnect(token)) {
    throw new HttpError('http-invalid', 'this token is not of a session; nothing ended');
  }
  api.log.info('api-session-closed', { from: request.env.incoming.socket.remoteAddress ?? '' });
  return request.json({ status: 'disconnected' });
}

/** Tokens are for the one who asked. */
const NO_STORE = { 'cache-control': 'no-store' };

function notHere(): HttpError {
  return new HttpError(
    'http-not-found',
    'this node takes no ssh keys over HTTP; its operator may name a file with --ssh-authorized-keys',
  );
}

function stamp(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** The error of a request under `/auth/` as cilo's clients read it: `error` is a text. Undefined elsewhere. */
export function ciloError(path: string, thrown: unknown): Response | undefined {
  if (!path.startsWith('/auth/')) return undefined;
  const { status, body, headers } = errorAnswer(thrown);
  return new Response(
    JSON.stringify({ error: body.error.message, code: toExoError(thrown).code, detail: body.detail }),
    { status, headers: { 'content-type': 'application/json', ...headers } },
  );
}
