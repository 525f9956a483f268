/** The JSON of keys and trust, as the API writes it (`api/trust-json.ts`) and `--json` prints it. */
import type { invitationJson, joinedJson, keyJson, shownKeyJson, trustedJson } from '../../api/index.js';

export type KeyJson = ReturnType<typeof keyJson>;
export type ShownKeyJson = ReturnType<typeof shownKeyJson>;
export type TrustedJson = ReturnType<typeof trustedJson>;
export type InvitationJson = ReturnType<typeof invitationJson>;
export type JoinedJson = ReturnType<typeof joinedJson>;

/** GET /v1/trust. */
export interface TrustListJson {
  readonly self: { readonly id: string; readonly fingerprint: string };
  readonly trusted: readonly TrustedJson[];
}

/** Keys and trust, wherever they are: in a running node, or in the files. */
export interface TrustDesk {
  /** The node behind it, where one runs. */
  readonly running: string | undefined;
  keys(): Promise<readonly KeyJson[]>;
  showKeys(): Promise<readonly ShownKeyJson[]>;
  newKey(): Promise<KeyJson>;
  joinKey(key: string, replace: boolean): Promise<KeyJson>;
  rotateKey(graceMs: number | undefined): Promise<KeyJson>;
  forgetKey(id: string): Promise<void>;
  invite(address: string | undefined): Promise<InvitationJson>;
  join(invitation: string): Promise<JoinedJson>;
  list(): Promise<TrustListJson>;
  trust(id: string, fingerprint: string): Promise<TrustedJson>;
  /** With `how` only what was learnt so is taken back. */
  distrust(id: string, how?: 'connect'): Promise<TrustedJson>;
}
