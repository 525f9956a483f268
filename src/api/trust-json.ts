/** Keys and trusted nodes as JSON. Pure. */
import type { Invitation, Joined, KeySummary, ShownKey, TrustedNode } from './ports.js';

/** A mesh key without its secret. */
export function keyJson({ id, source, createdAtMs, untilMs, current }: KeySummary) {
  return { id, source, created_at_ms: createdAtMs, until_ms: untilMs, current };
}

/** A mesh key with its secret, and the token that it gives for this API. */
export function shownKeyJson(key: ShownKey) {
  return { ...keyJson(key), key: key.key, api_token: key.apiToken };
}

/** A trusted node. */
export function trustedJson({ id, fingerprint, trust, how, sinceMs }: TrustedNode) {
  return { id, fingerprint, trust, how, since_ms: sinceMs };
}

/** Who invited. */
export function joinedJson({ id, fingerprint, address, keyId }: Joined) {
  return { id, fingerprint, address, key_id: keyId };
}

/** An invitation; its line is a secret. */
export function invitationJson({ line, expiresAtMs }: Invitation) {
  return { line, expires_at_ms: expiresAtMs };
}
