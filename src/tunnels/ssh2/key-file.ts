/**
 * Private key files as ssh2 needs them told apart: usable, locked by a passphrase (then only an agent can use them, and the
 * public half says which of its keys that is), or no use at all.
 */
import type { ParsedKey } from 'ssh2';
import { LIMITS } from '../../shared/index.js';
import type { Ssh2Module } from './load.js';
import { readSmallFile } from './small-file.js';

/** What a file of `-i` turned out to be. `publicKey`: the blob as it travels on the wire, where it can be known. */
export type KeyFile =
  | { readonly kind: 'private'; readonly key: ParsedKey; readonly publicKey: Buffer }
  /** Needs a passphrase, or holds a public key only: an agent may have its private half. */
  | { readonly kind: 'agent-only'; readonly publicKey: Buffer; readonly why: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unusable'; readonly why: string };

/** Never rejects. */
export async function readKeyFile(ssh2: Ssh2Module, path: string): Promise<KeyFile> {
  let file: Awaited<ReturnType<typeof readSmallFile>>;
  try {
    file = await readSmallFile(path, LIMITS.sshKeyFileBytesMax);
  } catch (error) {
    return { kind: 'unusable', why: (error as Error).message };
  }
  if (file === undefined) return missingOrPublic(ssh2, path);
  const { text, stat } = file;
  if (isPublicText(text)) return publicOnly(ssh2, text, 'it holds the public key only');
  // As ssh: a key that others can read is not one's own any more.
  if (stat.uid === process.getuid?.() && (stat.mode & 0o077) !== 0) {
    return { kind: 'unusable', why: `others may read it; chmod 600 ${path}` };
  }
  if (isLocked(text)) {
    const why = 'it needs a passphrase';
    const inside = publicPartOf(text);
    if (inside !== undefined) return { kind: 'agent-only', publicKey: inside, why };
    const beside = await readSmallFile(`${path}.pub`, LIMITS.sshKeyFileBytesMax).catch(() => undefined);
    return beside === undefined ? { kind: 'unusable', why } : publicOnly(ssh2, beside.text, why);
  }
  const key = parse(ssh2, text);
  if (key === undefined || !key.isPrivateKey()) {
    return { kind: 'unusable', why: 'it is no private key of a kind that ssh2 knows' };
  }
  return { kind: 'private', key, publicKey: key.getPublicSSH() };
}

/** As ssh: where only `name.pub` is there, an agent may hold the rest. */
async function missingOrPublic(ssh2: Ssh2Module, path: string): Promise<KeyFile> {
  const beside = await readSmallFile(`${path}.pub`, LIMITS.sshKeyFileBytesMax).catch(() => undefined);
  return beside === undefined
    ? { kind: 'missing' }
    : publicOnly(ssh2, beside.text, 'only its public half is there');
}

function publicOnly(ssh2: Ssh2Module, text: string, why: string): KeyFile {
  const key = parse(ssh2, text);
  if (key === undefined) return { kind: 'unusable', why };
  return { kind: 'agent-only', publicKey: key.getPublicSSH(), why };
}

function parse(ssh2: Ssh2Module, text: string): ParsedKey | undefined {
  const key: unknown = ssh2.utils.parseKey(text);
  // Files of the newer form may hold several keys.
  const first = Array.isArray(key) ? (key[0] as unknown) : key;
  return first instanceof Error || first === undefined ? undefined : (first as ParsedKey);
}

function isPublicText(text: string): boolean {
  return /^\s*(?:ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+/.test(text);
}

/** Whether a private key in one of its three forms is encrypted. */
function isLocked(text: string): boolean {
  if (text.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----') || /^Proc-Type: 4,ENCRYPTED/m.test(text))
    return true;
  const reader = openSshFields(text);
  const cipher = reader?.();
  return cipher !== undefined && cipher.toString('latin1') !== 'none';
}

/** The public key that OpenSSH's form keeps in front of the encrypted part. */
function publicPartOf(text: string): Buffer | undefined {
  const field = openSshFields(text);
  if (field === undefined) return undefined;
  // cipher, kdf and its options; then the number of keys stands in the place of a length.
  field();
  field();
  field();
  const key = field(4);
  return key === undefined || key.length === 0 ? undefined : key;
}

/** Reads `openssh-key-v1`: each call gives the next string, after `skipBytes` others. */
function openSshFields(text: string): ((skipBytes?: number) => Buffer | undefined) | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\sA-Za-z0-9+/=]*)-----END/.exec(text)?.[1];
  const bytes = Buffer.from(body ?? '', 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.toString('latin1', 0, magic.length) !== magic) return undefined;
  let at = magic.length;
  return (skipBytes = 0) => {
    at += skipBytes;
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readUInt32BE(at);
    const field = bytes.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    return field.length === length ? field : undefined;
  };
}
