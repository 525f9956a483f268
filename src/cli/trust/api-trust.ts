/**
 * What the API of a running node knows of trust, made of the node's own: the tokens of its mesh keys, its ssh sessions, and the
 * control over keys and trusted nodes. Made by `running-node.ts`.
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type ApiTrust, apiTokenOf } from '../../api/index.js';
import type { Address, Clock } from '../../shared/index.js';
import { type MeshKeys, parseToken, type Trust } from '../../trust/index.js';
import { reachableAddress } from './reachable.js';
import { StoredTrust, type TrustControlComponents } from './trust-control.js';

/** What is needed of the node. */
export interface ApiTrustOptions {
  readonly nodeId: string;
  /** Where the mesh key of this start came from, as for `openTrust`. */
  readonly token?: { readonly file: string } | { readonly text: string };
  /** Where the node listens for peers; asked when an invitation is made. */
  listener(): Address;
  /** As `TrustControlComponents.dial`. */
  readonly dial?: TrustControlComponents['dial'];
}

/** Throws `option-invalid` for a token that is none; `openTrust` has said so before. */
export async function apiTrust(
  options: ApiTrustOptions,
  components: { readonly trust: Trust; readonly clock: Clock },
): Promise<ApiTrust> {
  const { nodeId, token, dial } = options;
  const { trust, clock } = components;
  const text = token === undefined ? undefined : textOf(token);
  const given = text === undefined ? undefined : { id: (await parseToken(text, 'EXO_AUTH_TOKEN')).id, text };
  return {
    meshTokens: meshTokensOf(trust.keys, given),
    ...(trust.sshSessions === undefined ? {} : { sessions: trust.sshSessions }),
    control: new StoredTrust({
      clock,
      keys: trust.keys,
      store: trust.store,
      self: { id: nodeId, fingerprint: trust.nodeKey.fingerprint },
      address: () => reachableAddress(options.listener(), networkInterfaces()),
      ...(given === undefined ? {} : { givenKeyId: given.id }),
      ...(dial === undefined ? {} : { dial }),
    }),
  };
}

/**
 * The bearer tokens that count now: one derived from each valid mesh key, and a token in words as it was given, because
 * that is what its users send. A key `exo1-…` itself is none: it would travel in plain.
 */
export function meshTokensOf(
  keys: Pick<MeshKeys, 'valid'>,
  given: { readonly id: string; readonly text: string } | undefined,
): () => readonly string[] {
  const derived = new WeakMap<Buffer, string>();
  return () =>
    keys.valid.flatMap(({ id, secret }) => {
      const token = derived.get(secret) ?? apiTokenOf(secret);
      derived.set(secret, token);
      return id === given?.id && !given.text.startsWith('exo1-') ? [token, given.text] : [token];
    });
}

function textOf(token: { readonly file: string } | { readonly text: string }): string | undefined {
  const text = ('file' in token ? readFileSync(token.file, 'utf8') : token.text).trim();
  return text === '' ? undefined : text;
}
