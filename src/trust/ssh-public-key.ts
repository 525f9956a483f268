/**
 * Public keys as ssh writes them (`ssh-ed25519 AAAA… comment`), and signatures by them. Ed25519, ECDSA and RSA with SHA-2; nothing that
 * needs SHA-1, no certificates, no security keys (their signatures say that a button was touched, which nobody here checks). Pure:
 * needs no ssh2. RFC 4253 6.6, RFC 5656, RFC 8332, RFC 8709.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ExoError, LIMITS, printable } from '../shared/index.js';
import { fingerprintOfBlob } from './ed25519.js';
import { prefixed } from './transcript.js';

/** One public key. */
export interface SshPublicKey {
  /** `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`, … */
  readonly type: string;
  /** As it travels: what two mentions of a key are compared by. */
  readonly blob: Buffer;
  /** `SHA256:…` */
  readonly fingerprint: string;
  readonly key: KeyObject;
}

const CURVES: Readonly<
  Record<string, { readonly crv: string; readonly fieldBytes: number; readonly hash: string }>
> = {
  nistp256: { crv: 'P-256', fieldBytes: 32, hash: 'sha256' },
  nistp384: { crv: 'P-384', fieldBytes: 48, hash: 'sha384' },
  nistp521: { crv: 'P-521', fieldBytes: 66, hash: 'sha512' },
};
const RSA_HASHES: Readonly<Record<string, string>> = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' };
const KNOWN_TYPES = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
];
/** An uncompressed point begins with this byte. */
const UNCOMPRESSED = 4;
const TEXT_CHARS_MAX = LIMITS.authFieldCharsMax;

/** Reads `type base64 [comment]`. Throws `ssh-key-unusable`, in words that say what would work. */
export function parseSshPublicKey(text: string): SshPublicKey {
  if (text.length > TEXT_CHARS_MAX) throw unusable(`a public key of ${text.length} characters is too long`);
  const [type, base64] = text.trim().split(/[ \t]+/);
  const isForm = /^[a-z][a-z0-9@.-]*$/.test(type ?? '') && /^[A-Za-z0-9+/]+={0,2}$/.test(base64 ?? '');
  if (type === undefined || base64 === undefined || !isForm) {
    throw unusable('that is not a public key: it is one line, as in ~/.ssh/id_ed25519.pub');
  }
  const fault = sshKeyTypeFault(type);
  if (fault !== undefined) throw unusable(fault);
  return sshPublicKeyOf(Buffer.from(base64, 'base64'), type);
}

/** Reads a key as it travels. `type`: what it was said to be. Throws `ssh-key-unusable`. */
export function sshPublicKeyOf(blob: Buffer, type?: string): SshPublicKey {
  const fields = readFields(blob);
  const inside = fields?.[0]?.toString('latin1') ?? '';
  if (fields === undefined || (type !== undefined && type !== inside)) {
    throw unusable('the public key is damaged: its parts do not fit together');
  }
  const fault = sshKeyTypeFault(inside);
  if (fault !== undefined) throw unusable(fault);
  const jwk = jwkOf(inside, fields);
  let key: KeyObject;
  try {
    if (jwk === undefined) throw new Error('wrong number or length of fields');
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch (error) {
    throw unusable(`the public key of type ${inside} is damaged`, error);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < LIMITS.sshRsaBitsMin) {
    throw unusable(`an RSA key of ${bits} bits is too short; make a new one: ssh-keygen -t ed25519`);
  }
  return { type: inside, blob, fingerprint: fingerprintOfBlob(blob), key };
}

/** Why keys of a type are not taken; undefined: they are. */
export function sshKeyTypeFault(type: string): string | undefined {
  if (KNOWN_TYPES.includes(type)) return undefined;
  const advice = 'use one of ssh-keygen -t ed25519';
  if (type.includes('-cert-'))
    return `certificates (${printable(type, 60)}) are not supported; list the key itself`;
  if (type.startsWith('sk-'))
    return `keys on a security key (${printable(type, 60)}) are not supported; ${advice}`;
  if (type === 'ssh-dss') return `DSA keys are too weak; ${advice}`;
  return `keys of type ${printable(type, 60)} are not known; ${advice}`;
}

/** What a signature by the key is called where nothing else was said; undefined for RSA, which has several. */
export function defaultSignatureFormat(key: SshPublicKey): string | undefined {
  return key.type === 'ssh-rsa' ? undefined : key.type;
}

/** Whether `signature` (without its format in front) is one of `data` by the key. Never throws. */
export function isSshSignature(key: SshPublicKey, data: Buffer, signature: Buffer, format: string): boolean {
  try {
    if (key.type === 'ssh-rsa') {
      const hash = RSA_HASHES[format];
      return hash !== undefined && verify(hash, data, key.key, signature);
    }
    if (format !== key.type) return false;
    if (key.type === 'ssh-ed25519') return verify(null, data, key.key, signature);
    const curve = CURVES[key.type.slice('ecdsa-sha2-'.length)];
    const numbers = readFields(signature)?.map((number) => fixed(number, curve?.fieldBytes ?? 0));
    if (curve === undefined || numbers?.length !== 2 || numbers.includes(undefined)) return false;
    const raw = Buffer.concat(numbers as Buffer[]);
    return verify(curve.hash, data, { key: key.key, dsaEncoding: 'ieee-p1363' }, raw);
  } catch {
    return false;
  }
}

/** A signature with its format in front: how it travels in one piece. */
export function packSignature(format: string, signature: Buffer): Buffer {
  return prefixed([Buffer.from(format), signature]);
}

/** Takes it apart; undefined where it is none. */
export function unpackSignature(
  bytes: Buffer,
): { readonly format: string; readonly signature: Buffer } | undefined {
  const fields = readFields(bytes);
  return fields?.length === 2 ? { format: fields[0]!.toString('latin1'), signature: fields[1]! } : undefined;
}

/** A number of fixed length (as node signs) as ssh writes it: without zeros in front, but one where the first bit is set. */
export function toMpint(bytes: Buffer): Buffer {
  let at = 0;
  while (at < bytes.length && bytes[at] === 0) at += 1;
  const short = bytes.subarray(at);
  return (short[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.alloc(1), short]) : short;
}

/** The fields of a text in the wire form of ssh; undefined where the lengths do not fit. */
function readFields(bytes: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

function jwkOf(type: string, fields: readonly Buffer[]): Record<string, string> | undefined {
  const [, first, second] = fields;
  if (first === undefined) return undefined;
  if (type === 'ssh-ed25519') {
    return fields.length === 2 ? { kty: 'OKP', crv: 'Ed25519', x: first.toString('base64url') } : undefined;
  }
  if (second === undefined || fields.length !== 3) return undefined;
  if (type === 'ssh-rsa') {
    return {
      kty: 'RSA',
      e: unsigned(first).toString('base64url'),
      n: unsigned(second).toString('base64url'),
    };
  }
  const curve = CURVES[first.toString('latin1')];
  if (curve === undefined || type !== `ecdsa-sha2-${first.toString('latin1')}`) return undefined;
  if (second.length !== 1 + 2 * curve.fieldBytes || second[0] !== UNCOMPRESSED) return undefined;
  const point = second.subarray(1);
  return {
    kty: 'EC',
    crv: curve.crv,
    x: point.subarray(0, curve.fieldBytes).toString('base64url'),
    y: point.subarray(curve.fieldBytes).toString('base64url'),
  };
}

function unsigned(number: Buffer): Buffer {
  let at = 0;
  while (at < number.length - 1 && number[at] === 0) at += 1;
  return number.subarray(at);
}

/** With zeros in front to `length` bytes; undefined where it is longer. */
function fixed(number: Buffer, length: number): Buffer | undefined {
  const short = unsigned(number);
  return short.length > length ? undefined : Buffer.concat([Buffer.alloc(length - short.length), short]);
}

function unusable(message: string, cause?: unknown): ExoError {
  return new ExoError('ssh-key-unusable', message, { cause });
}
