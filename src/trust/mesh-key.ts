/**
 * A mesh key: a secret that all nodes of a mesh share. How it is printed and read, what is derived from it, and the proof that one
 * has it. Pure, but for scrypt, which takes its time. Where keys are kept: `mesh-keys.ts`.
 *
 *   proof key = HKDF-SHA-256(secret, salt "", info "exo mesh key 1", 32 bytes)
 *   id        = first 8 hex digits of SHA-256(proof key)
 *   mac       = HMAC-SHA-256(proof key, statement)          the statement of `transcript.ts`
 *   secret of a token in words = scrypt(token as UTF-8 in form NFC, salt "exo token 1", N 32768, r 8, p 1, 32 bytes)
 */
import { createHash, createHmac, hkdfSync, scrypt, timingSafeEqual } from 'node:crypto';
import { ExoError, LIMITS, type Random } from '../shared/index.js';

/** Bytes of a secret. */
export const SECRET_BYTES = 32;
const PREFIX = 'exo1-';
/** 32 bytes are 43 characters of base64url; the last of them has two bits that are not used and must be 0. */
const PRINTED_PATTERN = /^exo1-[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const ID_HEX_DIGITS = 8;
const SCRYPT = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

/** One key. Not to be logged: print its `id`. */
export interface MeshKey {
  /** 8 hex digits that tell keys apart and say nothing about the secret. */
  readonly id: string;
  readonly secret: Buffer;
  /** What proofs are made with. */
  readonly proofKey: Buffer;
  /** `clock.wall()` where it was made; 0 where that is not known (it was typed, or comes from the environment). */
  readonly createdAtMs: number;
  /** Not accepted from then on; undefined: no end. */
  readonly untilMs: number | undefined;
}

/** A key of a secret. */
export function meshKeyOf(secret: Buffer, createdAtMs: number, untilMs?: number): MeshKey {
  if (secret.length !== SECRET_BYTES) throw new ExoError('internal', `a mesh key has ${SECRET_BYTES} bytes`);
  const proofKey = Buffer.from(hkdfSync('sha256', secret, '', 'exo mesh key 1', SECRET_BYTES));
  const id = createHash('sha256').update(proofKey).digest('hex').slice(0, ID_HEX_DIGITS);
  return { id, secret, proofKey, createdAtMs, untilMs };
}

/** A new key. */
export function newMeshKey(random: Random, createdAtMs: number): MeshKey {
  return meshKeyOf(random.bytes(SECRET_BYTES), createdAtMs);
}

/** `exo1-…`: the secret, for a person to carry to another machine. */
export function printMeshKey(key: Pick<MeshKey, 'secret'>): string {
  return PREFIX + key.secret.toString('base64url');
}

/** Reads what `printMeshKey` printed. Throws `option-invalid`, which does not show the text. */
export function parseMeshKey(text: string, createdAtMs = 0, untilMs?: number): MeshKey {
  if (!PRINTED_PATTERN.test(text)) {
    throw new ExoError(
      'option-invalid',
      `a mesh key is exo1- and 43 characters, this text has ${text.length} in all; copy it whole from: exo key show`,
    );
  }
  return meshKeyOf(Buffer.from(text.slice(PREFIX.length), 'base64url'), createdAtMs, untilMs);
}

/**
 * Reads a printed key, or a token in words of at least 16 characters. Throws `option-invalid`, which does not show the text;
 * `source` names where it stood.
 */
export async function parseToken(text: string, source: string): Promise<MeshKey> {
  const trimmed = text.trim();
  if (trimmed.startsWith(PREFIX)) {
    try {
      return parseMeshKey(trimmed);
    } catch (error) {
      throw new ExoError('option-invalid', `${source}: ${(error as Error).message}`);
    }
  }
  if (trimmed.length < LIMITS.authTokenCharsMin) {
    throw new ExoError(
      'option-invalid',
      `${source} has ${trimmed.length} characters; it takes at least ${LIMITS.authTokenCharsMin}, or a key from: exo key new`,
    );
  }
  return meshKeyOf(await stretch(trimmed.normalize('NFC')), 0);
}

/** The proof of a statement. */
export function macOf(key: Pick<MeshKey, 'proofKey'>, statement: Buffer): Buffer {
  return createHmac('sha256', key.proofKey).update(statement).digest();
}

/** Whether the proof is right. Takes the same time for every proof. */
export function isMacOf(key: Pick<MeshKey, 'proofKey'>, statement: Buffer, mac: Buffer): boolean {
  const right = macOf(key, statement);
  // A proof of another length is compared as well, with something of its own.
  const isWhole = mac.length === right.length;
  return timingSafeEqual(right, isWhole ? mac : Buffer.alloc(right.length)) && isWhole;
}

/** What people make up can be guessed; so each guess is made dear. */
function stretch(token: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(token, 'exo token 1', SECRET_BYTES, SCRYPT, (error, secret) =>
      error ? reject(error) : resolve(secret),
    );
  });
}
