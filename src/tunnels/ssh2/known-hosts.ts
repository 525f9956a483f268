/**
 * Reads known_hosts files (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") and says whether a host may show a key: plain names, lists,
 * wildcards and negation, `[host]:port`, hashed names, `@revoked`. Host certificates (`@cert-authority`) are found and refused:
 * checking one needs more than this. The driver ssh2 asks; ssh itself reads its own files.
 */
import { createHmac } from 'node:crypto';
import { LIMITS } from '../../shared/index.js';
import { globListMatches } from './glob.js';
import { readSmallFile } from './small-file.js';

/** One line. */
export interface KnownHostsEntry {
  readonly marker: 'none' | 'revoked' | 'cert-authority';
  /** Names as written: patterns with commas, or one hashed name. */
  readonly names: string;
  readonly keyType: string;
  /** The public key as it travels on the wire. */
  readonly key: Buffer;
  /** From 1. */
  readonly line: number;
}

/** One file. */
export interface KnownHosts {
  readonly path: string;
  readonly entries: readonly KnownHostsEntry[];
  /** Lines that are no entry and are passed over, as ssh does. */
  readonly brokenLines: number;
}

/** Whose key it is. */
export interface HostKeyTarget {
  readonly host: string;
  readonly port: number;
  /** HostKeyAlias: looked up in the place of both. */
  readonly alias?: string;
}

/** What the files say about a key. */
export type HostKeyVerdict =
  | { readonly kind: 'known'; readonly file: string; readonly line: number }
  /** `otherTypes`: keys of other types are known for this host. */
  | { readonly kind: 'unknown'; readonly files: readonly string[]; readonly otherTypes: readonly string[] }
  | { readonly kind: 'changed'; readonly file: string; readonly line: number }
  | { readonly kind: 'revoked'; readonly file: string; readonly line: number }
  | { readonly kind: 'unreadable'; readonly file: string; readonly line?: number; readonly reason: string };

/** Reads the text of a file. Never throws: a line that is no entry is counted. */
export function parseKnownHosts(text: string, path: string): KnownHosts {
  const entries: KnownHostsEntry[] = [];
  let brokenLines = 0;
  let line = 0;
  for (const raw of text.split('\n')) {
    line += 1;
    if (/^[ \t\r]*(?:#.*)?$/s.test(raw.slice(0, LIMITS.knownHostsLineCharsMax))) continue;
    const entry = raw.length > LIMITS.knownHostsLineCharsMax ? undefined : parseLine(raw, line);
    if (entry === undefined) brokenLines += 1;
    else entries.push(entry);
  }
  return { path, entries, brokenLines };
}

/**
 * Reads the files; those that do not exist are empty, but for the one that is `named` and must be there. The first that cannot
 * be read (no right, a folder, too large) is the verdict on every key: it might have said `@revoked`.
 */
export async function loadKnownHosts(
  paths: readonly string[],
  named?: string,
): Promise<readonly KnownHosts[] | (HostKeyVerdict & { readonly kind: 'unreadable' })> {
  const files: KnownHosts[] = [];
  for (const path of paths) {
    // The usual words for "no file".
    if (path === '/dev/null' || path === 'none') continue;
    try {
      const file = await readSmallFile(path, LIMITS.knownHostsBytesMax);
      if (file === undefined && path === named) throw new Error('there is no such file');
      if (file !== undefined) files.push(parseKnownHosts(file.text, path));
    } catch (error) {
      return { kind: 'unreadable', file: path, reason: (error as Error).message };
    }
  }
  return files;
}

/** What the files say about the key that a host shows. Revoked wins over everything, and a known key over a changed one. */
export function checkHostKey(
  files: readonly KnownHosts[],
  target: HostKeyTarget,
  key: Buffer,
): HostKeyVerdict {
  const name = lookupName(target);
  // As ssh: a key that is known for the host on port 22 will do on another port of it; one that differs there says nothing.
  const withoutPort =
    target.alias === undefined && target.port !== 22 ? target.host.toLowerCase() : undefined;
  const type = typeOf(key);
  let known: HostKeyVerdict | undefined;
  let fallback: HostKeyVerdict | undefined;
  let changed: HostKeyVerdict | undefined;
  let certificate: HostKeyVerdict | undefined;
  const otherTypes = new Set<string>();
  for (const { path, entries } of files) {
    for (const entry of entries) {
      const { line } = entry;
      const same = entry.key.equals(key);
      if (!matches(entry.names, name)) {
        if (same && withoutPort !== undefined && matches(entry.names, withoutPort)) {
          if (entry.marker === 'revoked') return { kind: 'revoked', file: path, line };
          if (entry.marker === 'none') fallback ??= { kind: 'known', file: path, line };
        }
        continue;
      }
      if (entry.marker === 'revoked') {
        if (same) return { kind: 'revoked', file: path, line };
      } else if (entry.marker === 'cert-authority') {
        certificate ??= { kind: 'unreadable', file: path, line, reason: CERTIFICATES };
      } else if (same) known ??= { kind: 'known', file: path, line };
      else if (entry.keyType === type) changed ??= { kind: 'changed', file: path, line };
      else otherTypes.add(entry.keyType);
    }
  }
  return (
    known ??
    changed ??
    fallback ??
    certificate ?? { kind: 'unknown', files: files.map(({ path }) => path), otherTypes: [...otherTypes] }
  );
}

const CERTIFICATES =
  'the host is known by a certificate authority (@cert-authority), and this driver cannot check host certificates; use the driver openssh, or add the key of the host itself';

/** Types of the keys that are known for a host, so that it is asked for one of those. */
export function knownKeyTypes(files: readonly KnownHosts[], target: HostKeyTarget): readonly string[] {
  const name = lookupName(target);
  const types = new Set<string>();
  for (const { entries } of files) {
    for (const entry of entries) {
      if (entry.marker === 'none' && matches(entry.names, name)) types.add(entry.keyType);
    }
  }
  return [...types];
}

/** The name under which ssh keeps a host: `host`, or `[host]:port` where the port is not 22. */
export function lookupName(target: HostKeyTarget): string {
  if (target.alias !== undefined) return target.alias.toLowerCase();
  const host = target.host.toLowerCase();
  return target.port === 22 ? host : `[${host}]:${target.port}`;
}

/** Whether the names of a line mean `name` (in lower case). */
function matches(names: string, name: string): boolean {
  if (names.startsWith('|')) return matchesHashed(names, name);
  return globListMatches(names.toLowerCase().split(','), name);
}

/** `|1|salt|hash`, both base64: HMAC-SHA1 of the name. */
function matchesHashed(names: string, name: string): boolean {
  const [, version, salt, hash, rest] = names.split('|');
  if (version !== '1' || salt === undefined || hash === undefined || rest !== undefined) return false;
  const expected = Buffer.from(hash, 'base64');
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest().equals(expected);
}

const MARKERS: Readonly<Record<string, KnownHostsEntry['marker']>> = {
  '@revoked': 'revoked',
  '@cert-authority': 'cert-authority',
};

function parseLine(raw: string, line: number): KnownHostsEntry | undefined {
  const fields = raw.trim().split(/[ \t]+/);
  let marker: KnownHostsEntry['marker'] | undefined = 'none';
  if (fields[0]?.startsWith('@')) marker = MARKERS[fields.shift() ?? ''];
  const [names, keyType, base64] = fields;
  if (marker === undefined || names === undefined || keyType === undefined || base64 === undefined)
    return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const key = Buffer.from(base64, 'base64');
  return typeOf(key) === keyType ? { marker, names, keyType, key, line } : undefined;
}

/** The type that a public key begins with (RFC 4253, 6.6): a string of its own, with its length in front. */
function typeOf(key: Buffer): string | undefined {
  if (key.length < 4) return undefined;
  const length = key.readUInt32BE(0);
  if (length === 0 || length > 64 || key.length < 4 + length) return undefined;
  return key.toString('latin1', 4, 4 + length);
}
