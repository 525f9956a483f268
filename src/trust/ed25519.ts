/**
 * Ed25519 keys as this program hands them around: raw public keys of 32 bytes, key objects for signing, and fingerprints as ssh
 * prints them. Not where they are kept (`node-key.ts`). Pure.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { ExoError } from '../shared/index.js';

/** Bytes of a raw public key. */
export const PUBLIC_KEY_BYTES = 32;
/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410, 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const SSH_TYPE = 'ssh-ed25519';
const FINGERPRINT_PATTERN = /^SHA256:[A-Za-z0-9+/]{43}$/;

/** Bytes of the seed that a private key is made of. */
export const SEED_BYTES = 32;
/** PKCS#8 of an Ed25519 key up to its 32 bytes of seed (RFC 8410, 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Who a node is: an Ed25519 key pair that lives as long as the node's folder. */
export interface NodeKey {
  readonly privateKey: KeyObject;
  /** Raw, 32 bytes. */
  readonly publicKey: Buffer;
  /** `SHA256:…`, as ssh prints it. */
  readonly fingerprint: string;
}

/** The key with this seed of 32 bytes. */
export function nodeKeyFromSeed(seed: Uint8Array): NodeKey {
  if (seed.length !== SEED_BYTES) throw new ExoError('internal', `a seed has ${SEED_BYTES} bytes`);
  return toNodeKey(
    createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' }),
  );
}

/** A private key with what is asked of it. */
export function toNodeKey(privateKey: KeyObject): NodeKey {
  const publicKey = rawPublicKey(privateKey);
  return { privateKey, publicKey, fingerprint: fingerprintOf(publicKey) };
}

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
