/** Keys and trusted nodes as JSON. Pure. */
import type { KeySummary, ShownKey, TrustedNode } from './ports.js';

/** A mesh key without its secret. */
export function keyJson({ id, source, createdAtMs, untilMs, current }: KeySummary) {
  return { id, source, created_at_ms: createdAtMs, until_ms: untilMs, current };
}

/** A mesh key with its secret, and the token that it gives for this API. */
export function shownKeyJson(key: ShownKey) {
  return { ...keyJson(key), key: key.key, api_token: key.apiToken };
}

/** A trusted node. */
export function trustedJson({ id, fingerprint, how, sinceMs }: TrustedNode) {
  return { id, fingerprint, how, since_ms: sinceMs };
}
