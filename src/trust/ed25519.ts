/**
 * Ed25519 keys as this program hands them around: raw public keys of 32 bytes, key objects for signing, and fingerprints as ssh
 * prints them. Not where they are kept (`node-key.ts`). Pure.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { ExoError } from '../shared/index.js';

/** Bytes of a raw public key. */
export const PUBLIC_KEY_BYTES = 32;
/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410, 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const SSH_TYPE = 'ssh-ed25519';
const FINGERPRINT_PATTERN = /^SHA256:[A-Za-z0-9+/]{43}$/;

/** The raw 32 bytes of a public or private Ed25519 key object. Throws `internal` for a key of another type. */
export function rawPublicKey(key: KeyObject): Buffer {
  const half = key.type === 'private' ? createPublicKey(key) : key;
  if (half.asymmetricKeyType !== 'ed25519') {
    throw new ExoError('internal', `expected an Ed25519 key, got ${half.asymmetricKeyType ?? half.type}`);
  }
  return half.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

/** The key object of 32 raw bytes. Throws `auth-failed` when they are not 32. */
export function publicKeyObject(raw: Uint8Array): KeyObject {
  if (raw.length !== PUBLIC_KEY_BYTES) {
    throw new ExoError('auth-failed', `a node key has ${PUBLIC_KEY_BYTES} bytes, this one has ${raw.length}`);
  }
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
}

/** Fingerprint as `ssh-keygen -l` prints it: SHA-256 over the key in ssh's wire form, base64 without padding. */
export function fingerprintOf(raw: Uint8Array): string {
  return fingerprintOfBlob(Buffer.concat([sshText(Buffer.from(SSH_TYPE)), sshText(raw)]));
}

/** The same for a key that is in ssh's wire form already. */
export function fingerprintOfBlob(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** Whether a text has the form of a fingerprint. */
export function isFingerprint(text: string): boolean {
  return FINGERPRINT_PATTERN.test(text);
}

/** A string of RFC 4251, 5: length in four bytes, then the bytes. */
function sshText(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
