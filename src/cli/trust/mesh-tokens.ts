/** The bearer tokens that the mesh keys of a running node give for its API. `running-node.ts` hands them to the API. */
import { apiTokenOf } from '../../api/index.js';
import type { MeshKeys } from '../../trust/index.js';

/** A mesh key that came as text: EXO_AUTH_TOKEN, or the file of --auth-token-file. */
export interface GivenToken {
  /** Of the key that it makes. */
  readonly keyId: string;
  readonly text: string;
}

/**
 * The tokens that count now: one derived from each valid mesh key, and a token in words as it was given, because that is what
 * its users send. A key `exo1-…` itself is none: it would travel in plain.
 */
export function meshTokensOf(
  keys: Pick<MeshKeys, 'valid'>,
  given: GivenToken | undefined,
): () => readonly string[] {
  const derived = new WeakMap<Buffer, string>();
  return () =>
    keys.valid.flatMap(({ id, secret }) => {
      const token = derived.get(secret) ?? apiTokenOf(secret);
      derived.set(secret, token);
      const text = given?.text.trim() ?? '';
      const isToken = id === given?.keyId && text !== '' && !text.startsWith('exo1-');
      return isToken ? [token, text] : [token];
    });
}
