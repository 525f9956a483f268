/**
 * Sessions for people who have an ssh key: a challenge, a signature of it, a token for a day. For the HTTP layer, which carries the
 * calls (`/auth/challenge`, `/auth/connect`, `/auth/disconnect`) and asks `check` for every other request. Nodes among themselves use
 * the proof `ssh-key` instead.
 *
 *   challenge = nonce(12 random bytes) ‖ u32 seconds of this service’s clock when it ends ‖ HMAC-SHA-256(own secret, nonce ‖ end ‖ key)[0..16]
 *
 * It is given as base64, and that text is what gets signed, as it is. Nothing is kept of a challenge until it was answered rightly:
 * asking for many takes no memory and nobody else's place.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { type Clock, ExoError, LIMITS, type Random, toExoError } from '../shared/index.js';
import type { AuthorizedKeys } from './ssh-authorized-keys.js';
import {
  defaultSignatureFormat,
  isSshSignature,
  parseSshPublicKey,
  type SshPublicKey,
  unpackSignature,
} from './ssh-public-key.js';

/** What a client sends after it has signed. */
export interface SshAnswer {
  /** A line as in authorized_keys. */
  readonly publicKey: string;
  /** As it was given. */
  readonly challenge: string;
  /** base64: the signature, with its format in front or without. */
  readonly signature: string;
  /** `ssh-ed25519`, `rsa-sha2-512`, …; absent: as the signature or the key says. */
  readonly signatureFormat?: string;
}

/** A session that was opened. */
export interface SshSession {
  /** base64url of 32 bytes; a secret that is kept here only as its digest. */
  readonly token: string;
  /** `clock.wall()`. */
  readonly expiresAtMs: number;
}

interface OpenSession {
  readonly key: SshPublicKey;
  /** `clock.now()`. */
  readonly untilMs: number;
}

const NONCE_BYTES = 12;
const END_BYTES = 4;
const TAG_BYTES = 16;
const CHALLENGE_BYTES = NONCE_BYTES + END_BYTES + TAG_BYTES;
const TOKEN_BYTES = 32;
const SECRET_BYTES = 32;
/** base64 of the longest RSA signature that is looked at. */
const SIGNATURE_CHARS_MAX = LIMITS.authFieldCharsMax;

/** One service a node. Its sessions end with it. */
export class SshChallenges {
  readonly #authorizedKeys: AuthorizedKeys;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #secret: Buffer;
  readonly #startedMs: number;
  /** Challenges that were answered rightly, with their ends (`clock.now()`). */
  readonly #used = new Map<string, number>();
  /** By SHA-256 of the token: what is looked up does not follow what was sent byte by byte. Oldest first. */
  readonly #sessions = new Map<string, OpenSession>();

  constructor(
    authorizedKeys: AuthorizedKeys,
    components: { readonly clock: Clock; readonly random: Random },
  ) {
    this.#authorizedKeys = authorizedKeys;
    this.#clock = components.clock;
    this.#random = components.random;
    this.#secret = components.random.bytes(SECRET_BYTES);
    this.#startedMs = components.clock.now();
  }

  /** A challenge for this key. Throws `http-invalid` for what is no key; whether it is listed is not told. */
  challenge(publicKey: string): { readonly challenge: string; readonly expiresAtMs: number } {
    const key = readKey(publicKey);
    const end = Buffer.alloc(END_BYTES);
    end.writeUInt32BE(Math.floor((this.#clock.now() - this.#startedMs + LIMITS.sshChallengeMs) / 1_000));
    const head = Buffer.concat([this.#random.bytes(NONCE_BYTES), end]);
    const challenge = Buffer.concat([head, this.#tag(head, key)]).toString('base64');
    return { challenge, expiresAtMs: this.#clock.wall() + LIMITS.sshChallengeMs };
  }

  /** Opens a session. Throws `http-invalid` (malformed), `http-forbidden` (anything else, in the same words) or `overloaded`. */
  connect(answer: SshAnswer): SshSession {
    const key = readKey(answer.publicKey);
    const { signature, format } = readSignature(answer, key);
    const endMs = this.#endOf(answer.challenge, key);
    const isRight = isSshSignature(key, Buffer.from(answer.challenge, 'utf8'), signature, format);
    const nowMs = this.#clock.now();
    if (
      !isRight ||
      !this.#isListed(key) ||
      endMs === undefined ||
      nowMs >= endMs ||
      this.#used.has(answer.challenge)
    ) {
      throw new ExoError(
        'http-forbidden',
        'the challenge is not open, the signature is wrong, or the key is not in authorized_keys; ask for a new challenge',
      );
    }
    this.#useUp(answer.challenge, endMs);
    return this.#open(key);
  }

  /** Whether the token is of a session that has not ended and whose key is still listed. */
  check(token: string): boolean {
    const id = digestOf(token);
    const session = this.#sessions.get(id);
    if (session === undefined) return false;
    if (this.#clock.now() < session.untilMs && this.#isListed(session.key)) return true;
    this.#sessions.delete(id);
    return false;
  }

  /** Ends the session; false where there is none of that token. */
  disconnect(token: string): boolean {
    return this.#sessions.delete(digestOf(token));
  }

  /** Open sessions, for the owner. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  #open(key: SshPublicKey): SshSession {
    const nowMs = this.#clock.now();
    for (const [id, { untilMs }] of this.#sessions) if (nowMs >= untilMs) this.#sessions.delete(id);
    const own = [...this.#sessions].filter(([, session]) => session.key.fingerprint === key.fingerprint);
    const isFull = this.#sessions.size >= LIMITS.sshSessionsMax;
    if (own[0] !== undefined && (isFull || own.length >= LIMITS.sshSessionsPerKeyMax))
      this.#sessions.delete(own[0][0]);
    else if (isFull) {
      throw new ExoError(
        'overloaded',
        `${this.#sessions.size} sessions are open; end some, or wait until they end`,
        { retryable: true },
      );
    }
    const token = this.#random.bytes(TOKEN_BYTES).toString('base64url');
    this.#sessions.set(digestOf(token), { key, untilMs: nowMs + LIMITS.sshSessionMs });
    return { token, expiresAtMs: this.#clock.wall() + LIMITS.sshSessionMs };
  }

  /** When a challenge ends; undefined where it was not given for this key. */
  #endOf(challenge: string, key: SshPublicKey): number | undefined {
    const bytes = Buffer.from(challenge, 'base64');
    if (bytes.length !== CHALLENGE_BYTES || bytes.toString('base64') !== challenge) return undefined;
    const head = bytes.subarray(0, NONCE_BYTES + END_BYTES);
    if (!timingSafeEqual(bytes.subarray(head.length), this.#tag(head, key))) return undefined;
    return this.#startedMs + head.readUInt32BE(NONCE_BYTES) * 1_000;
  }

  #tag(head: Buffer, key: SshPublicKey): Buffer {
    return createHmac('sha256', this.#secret).update(head).update(key.blob).digest().subarray(0, TAG_BYTES);
  }

  #useUp(challenge: string, endMs: number): void {
    const nowMs = this.#clock.now();
    for (const [each, untilMs] of this.#used) if (nowMs >= untilMs) this.#used.delete(each);
    if (this.#used.size >= LIMITS.sshChallengesUsedMax) {
      throw new ExoError('overloaded', 'too many logins within some minutes; wait a little', {
        retryable: true,
      });
    }
    this.#used.set(challenge, endMs);
  }

  /** A file that cannot be used lists nobody. */
  #isListed(key: SshPublicKey): boolean {
    try {
      return this.#authorizedKeys.find(key, this.#clock.wall()).allowed;
    } catch {
      return false;
    }
  }
}

function readKey(text: string): SshPublicKey {
  try {
    return parseSshPublicKey(text);
  } catch (error) {
    throw new ExoError('http-invalid', `public_key: ${toExoError(error).message}`);
  }
}

function readSignature(
  answer: SshAnswer,
  key: SshPublicKey,
): { readonly signature: Buffer; readonly format: string } {
  const { signature: text, signatureFormat } = answer;
  if (text.length > SIGNATURE_CHARS_MAX || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw new ExoError('http-invalid', 'signature: not base64');
  }
  const bytes = Buffer.from(text, 'base64');
  const packed = unpackSignature(bytes);
  // An ECDSA signature has two fields as well; only a format that a key can have counts as one.
  if (packed !== undefined && /^(?:ssh|rsa|ecdsa)-/.test(packed.format)) return packed;
  const format = signatureFormat ?? defaultSignatureFormat(key);
  if (format === undefined) {
    throw new ExoError(
      'http-invalid',
      'signature_format: say which for an RSA key, rsa-sha2-512 or rsa-sha2-256',
    );
  }
  return { signature: bytes, format };
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
