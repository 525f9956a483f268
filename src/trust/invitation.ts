/**
 * An invitation: one line that lets one machine join, once. Pure: what the line says, and the proof that one has it. Which
 * invitations are open is kept in `trust-store.ts`.
 *
 *   exo join <host:port> <fingerprint of the inviting node> join1-<secret, 16 bytes as base64url>
 *
 *   seed = HKDF-SHA-256(secret, salt "", info "exo invitation 1", 32 bytes): an Ed25519 key; its public half is what the inviting node
 *          keeps, so that whoever reads that file cannot use the invitation
 *   id   = first 16 hex digits of SHA-256(public key)
 *   proof = Ed25519 signature of the statement of `transcript.ts`
 */
import { createHash, hkdfSync, sign, verify } from 'node:crypto';
import { type Address, ExoError, formatAddress, parseAddress, type Random } from '../shared/index.js';
import { isFingerprint, nodeKeyFromSeed, publicKeyObject, SEED_BYTES } from './ed25519.js';

const SECRET_BYTES = 16;
const PREFIX = 'join1-';
/** 16 bytes are 22 characters of base64url; the last of them has four bits that are not used and must be 0. */
const PRINTED_PATTERN = /^join1-[A-Za-z0-9_-]{21}[AQgw]$/;
const ID_HEX_DIGITS = 16;

/** What an inviting node keeps. */
export interface InvitationRecord {
  readonly id: string;
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
  /** `clock.wall()`. */
  readonly untilMs: number;
}

/** What the line says. */
export interface Invitation {
  readonly address: Address;
  readonly fingerprint: string;
  /** `join1-…`; a secret. */
  readonly secret: string;
}

/** A new secret, as printed. */
export function newInvitationSecret(random: Random): string {
  return PREFIX + random.bytes(SECRET_BYTES).toString('base64url');
}

/** Whether a text is a secret as printed. */
export function isInvitationSecret(text: string): boolean {
  return PRINTED_PATTERN.test(text);
}

/** What is kept of a secret. Throws `option-invalid`. */
export function invitationRecord(secret: string, untilMs: number): InvitationRecord {
  const { publicKey } = keyOf(secret);
  return { id: idOf(publicKey), publicKey: publicKey.toString('base64url'), untilMs };
}

/** Proves that one has the secret. Throws `option-invalid`. */
export function proveInvitation(
  secret: string,
  statement: Buffer,
): { readonly id: string; readonly signature: Buffer } {
  const { publicKey, privateKey } = keyOf(secret);
  return { id: idOf(publicKey), signature: sign(null, statement, privateKey) };
}

/** Whether a proof is right. Without a record it takes as long and is wrong. */
export function isInvitationProof(
  record: InvitationRecord | undefined,
  statement: Buffer,
  signature: Buffer,
): boolean {
  const raw = record === undefined ? NOBODY : Buffer.from(record.publicKey, 'base64url');
  return verify(null, statement, publicKeyObject(raw), signature) && record !== undefined;
}

/** The line to copy. */
export function printInvitation({ address, fingerprint, secret }: Invitation): string {
  return `exo join ${formatAddress(address)} ${fingerprint} ${secret}`;
}

/** Reads the words behind `exo join`. Throws `option-invalid`, which does not show the secret. */
export function parseInvitation(words: readonly string[]): Invitation {
  const [at, fingerprint, secret] = words;
  if (at === undefined || fingerprint === undefined || secret === undefined || words.length !== 3) {
    throw invalid('it takes three words: host:port, fingerprint, secret');
  }
  if (!isFingerprint(fingerprint)) throw invalid('the second word is not a fingerprint (SHA256:…)');
  if (!isInvitationSecret(secret)) throw invalid('the third word is not join1- and 22 characters');
  return { address: parseAddress(at), fingerprint, secret };
}

function keyOf(secret: string): ReturnType<typeof nodeKeyFromSeed> {
  if (!isInvitationSecret(secret)) throw invalid('its secret is not join1- and 22 characters');
  const bytes = Buffer.from(secret.slice(PREFIX.length), 'base64url');
  return nodeKeyFromSeed(Buffer.from(hkdfSync('sha256', bytes, '', 'exo invitation 1', SEED_BYTES)));
}

function idOf(publicKey: Buffer): string {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, ID_HEX_DIGITS);
}

function invalid(why: string): ExoError {
  return new ExoError(
    'option-invalid',
    `the invitation cannot be used: ${why}; copy the whole line from: exo key invite`,
  );
}

/** A public key whose private half nobody has kept. */
const NOBODY = nodeKeyFromSeed(Buffer.alloc(SEED_BYTES)).publicKey;
