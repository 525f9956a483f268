/**
 * Bearer tokens and whose they are. A token is compared by digest and in constant time, with every one that there is,
 * so that neither its length, nor its content, nor which of them it is shows in the time it takes.
 */

import { createHash, hkdfSync, timingSafeEqual } from 'node:crypto';
import { LIMITS } from '../shared/index.js';
import type { ApiTrust } from './ports.js';

/** Whose token it is: of the run file, of the mesh, of a session that an ssh key opened. */
export type Holder = 'owner' | 'mesh' | 'session';

/** The purpose of the derived secret (RFC 5869, `info`): no proof of the mesh key can be made of it. */
const API_TOKEN_INFO = 'exo api token 1';
const API_TOKEN_BYTES = 32;

/**
 * The bearer token that a mesh key gives: HKDF-SHA-256, as base64url. HTTP is not encrypted here, so the key itself
 * never goes over it; who overhears this token can use the API, and is no peer.
 * @param secret the 32 bytes of the mesh key
 */
export function apiTokenOf(secret: Buffer): string {
  const derived = hkdfSync('sha256', secret, Buffer.alloc(0), API_TOKEN_INFO, API_TOKEN_BYTES);
  return `exoapi-${Buffer.from(derived).toString('base64url')}`;
}

/** The tokens of one API. */
export class BearerTokens {
  readonly #owner: Buffer | undefined;
  readonly #trust: ApiTrust;

  /** @param ownerToken of the run file; empty: nobody is the owner */
  constructor(ownerToken: string, trust: ApiTrust = {}) {
    this.#owner = ownerToken === '' ? undefined : digestOf(ownerToken);
    this.#trust = trust;
  }

  /** Whether somebody set this API up for others than the owner: a mesh key, or ssh keys. */
  get isConfigured(): boolean {
    return this.#trust.sessions !== undefined || (this.#trust.meshTokens?.() ?? []).length > 0;
  }

  /** Whose token an Authorization header carries; undefined for none, or an unknown one. */
  holder(authorization: string | undefined): Holder | undefined {
    const token = bearerOf(authorization);
    if (token === undefined) return undefined;
    const given = digestOf(token);
    const known: Array<readonly [Holder, Buffer]> = (this.#trust.meshTokens?.() ?? []).map(
      (each) => ['mesh', digestOf(each)] as const,
    );
    if (this.#owner !== undefined) known.push(['owner', this.#owner]);
    let holder: Holder | undefined = this.#trust.sessions?.check(token) === true ? 'session' : undefined;
    for (const [each, digest] of known) if (timingSafeEqual(given, digest)) holder = each;
    return holder;
  }
}

/** The token of an Authorization header, where it has one. */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > LIMITS.apiTokenCharsMax) return undefined;
  return /^bearer +(?<token>\S+)$/i.exec(authorization)?.groups?.['token'];
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
