/**
 * The authorized_keys file that the operator named: which ssh keys may be trusted here. Stricter than sshd: a line that lets a key do
 * only some things lets it do nothing here, since a trusted node may do everything. Read again when it has changed.
 */
import { readFileSync, type Stats, statSync } from 'node:fs';
import path from 'node:path';
import { ExoError, LIMITS, printable } from '../shared/index.js';
import type { SshPublicKey } from './ssh-public-key.js';

/** Whether a key is listed; `why` is for the own log and for the owner. */
export type Authorization =
  | { readonly allowed: true; readonly comment: string }
  | { readonly allowed: false; readonly why: string };

/** One line that has a key. */
export interface AuthorizedLine {
  readonly lineNumber: number;
  /** Names in lower case; undefined value: an option without one. */
  readonly options: ReadonlyArray<{ readonly name: string; readonly value: string | undefined }>;
  readonly type: string;
  readonly base64: string;
  readonly comment: string;
}

/** Options that take nothing away that a node could do, or that grant something. */
const HARMLESS = new Set([
  'agent-forwarding',
  'environment',
  'no-agent-forwarding',
  'no-pty',
  'no-user-rc',
  'no-x11-forwarding',
  'port-forwarding',
  'pty',
  'user-rc',
  'x11-forwarding',
]);
const KEY_TYPE = /^(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+$/;
const OTHERS_WRITE = 0o022;

/** The file. */
export class AuthorizedKeys {
  readonly #file: string;
  #lines: readonly AuthorizedLine[] = [];
  #signature = '';

  constructor(file: string) {
    this.#file = file;
  }

  /** Looks a key up in the file as it is now. Throws `ssh-key-unusable` where the file cannot be used: then nobody is let in. */
  find(key: SshPublicKey, wallMs: number): Authorization {
    this.#read();
    const base64 = key.blob.toString('base64').replace(/=+$/, '');
    let why = `the key ${key.fingerprint} is not in ${this.#file}`;
    for (const line of this.#lines) {
      if (line.type !== key.type || line.base64.replace(/=+$/, '') !== base64) continue;
      const fault = lineFault(line, wallMs);
      if (fault === undefined) return { allowed: true, comment: line.comment };
      why = `${this.#file}, line ${line.lineNumber}: ${fault.why}`;
      // A line that restricts the key decides; one that is over leaves it to the next, as in sshd.
      if (!fault.isOver) break;
    }
    return { allowed: false, why };
  }

  /** Every key that is let in now, as one text each. Throws as `find`. */
  allowed(wallMs: number): ReadonlySet<string> {
    this.#read();
    const decided = new Map<string, boolean>();
    for (const line of this.#lines) {
      const key = `${line.type} ${line.base64.replace(/=+$/, '')}`;
      if (decided.has(key)) continue;
      const fault = lineFault(line, wallMs);
      if (fault?.isOver !== true) decided.set(key, fault === undefined);
    }
    return new Set([...decided].flatMap(([key, isAllowed]) => (isAllowed ? [key] : [])));
  }

  #read(): void {
    const stats = statOf(this.#file);
    const folder = statOf(path.dirname(this.#file));
    for (const [name, each] of [[this.#file, stats] as const, [path.dirname(this.#file), folder] as const]) {
      checkSafe(name, each);
    }
    if (stats.size > LIMITS.authorizedKeysBytesMax)
      throw unusable(this.#file, `has more than ${LIMITS.authorizedKeysBytesMax} bytes`);
    const signature = `${stats.ino}:${stats.mtimeMs}:${stats.ctimeMs}:${stats.size}`;
    if (signature === this.#signature) return;
    try {
      this.#lines = parseAuthorizedKeys(readFileSync(this.#file, 'utf8'));
    } catch (error) {
      throw unusable(this.#file, `cannot be read (${(error as Error).message})`);
    }
    this.#signature = signature;
  }
}

/** The lines with keys. Lines that are none are left out, as in sshd. */
export function parseAuthorizedKeys(text: string): AuthorizedLine[] {
  return text.split('\n').flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#') || trimmed.length > LIMITS.knownHostsLineCharsMax)
      return [];
    const parsed = parseLine(trimmed, index + 1);
    return parsed === undefined ? [] : [parsed];
  });
}

/** Why a line lets its key do nothing here; undefined: it does. `isOver`: for its expiry-time alone. */
export function lineFault(
  { options }: AuthorizedLine,
  wallMs: number,
): { readonly why: string; readonly isOver: boolean } | undefined {
  let over: string | undefined;
  for (const { name, value } of options) {
    if (HARMLESS.has(name)) continue;
    if (name === 'cert-authority')
      return restricts('cert-authority lines are not supported; list the key itself');
    if (name === 'expiry-time') {
      const untilMs = expiryMs(value ?? '');
      if (untilMs === undefined) return restricts('expiry-time is not of the form YYYYMMDD[HHMM[SS]][Z]');
      if (wallMs >= untilMs) over = `expiry-time ${value} is over`;
      continue;
    }
    const what =
      name === 'from'
        ? 'from= cannot be checked here'
        : `the option ${printable(name, 40)} restricts the key`;
    return restricts(
      `${what}, and a trusted node may do everything; list the key in a line without it, in a file of its own`,
    );
  }
  return over === undefined ? undefined : { why: over, isOver: true };
}

function restricts(why: string): { readonly why: string; readonly isOver: boolean } {
  return { why, isOver: false };
}

/** Local time where no Z is behind it, as sshd reads it. Undefined where it is no date. */
function expiryMs(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z?)$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const parts = [year!, month! - 1, day!, hour!, minute!, second!] as const;
  const date = match[7] === 'Z' ? new Date(Date.UTC(...parts)) : new Date(...parts);
  const isReal = (match[7] === 'Z' ? date.getUTCMonth() : date.getMonth()) === month! - 1;
  return isReal && hour! < 24 && minute! < 60 && second! < 60 ? date.getTime() : undefined;
}

function parseLine(line: string, lineNumber: number): AuthorizedLine | undefined {
  let rest = line;
  let options: AuthorizedLine['options'] = [];
  if (!KEY_TYPE.test(rest.split(/[ \t]/, 1)[0]!)) {
    const end = endOfOptions(rest);
    const parsed = end === undefined ? undefined : parseOptions(rest.slice(0, end));
    if (end === undefined || parsed === undefined) return undefined;
    options = parsed;
    rest = rest.slice(end).trim();
  }
  const [type, base64, ...comment] = rest.split(/[ \t]+/);
  if (type === undefined || base64 === undefined || !KEY_TYPE.test(type)) return undefined;
  return { lineNumber, options, type, base64, comment: comment.join(' ') };
}

/** Where the first blank outside quotes is. */
function endOfOptions(line: string): number | undefined {
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === '\\' && line[at + 1] === '"') at += 1;
    else if (line[at] === '"') quoted = !quoted;
    else if (!quoted && (line[at] === ' ' || line[at] === '\t')) return at;
  }
  return undefined;
}

/** Undefined where something stands there that is no option: such a line counts for nothing. */
function parseOptions(text: string): AuthorizedLine['options'] | undefined {
  const options: Array<AuthorizedLine['options'][number]> = [];
  const pattern = /([A-Za-z0-9-]+)(?:="((?:\\"|[^"])*)")?(?:,|$)/y;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    options.push({ name: match[1]!.toLowerCase(), value: match[2]?.replaceAll('\\"', '"') });
  }
  return options;
}

function statOf(name: string): Stats {
  try {
    return statSync(name);
  } catch (error) {
    throw unusable(name, `cannot be read (${(error as Error).message})`);
  }
}

/** As sshd's StrictModes: whoever can write the file can let anybody in. */
function checkSafe(
  name: string,
  stats: { readonly uid: number | bigint; readonly mode: number | bigint },
): void {
  const own = process.getuid?.();
  if (own === undefined) return;
  if (Number(stats.uid) !== own && Number(stats.uid) !== 0) throw unusable(name, 'belongs to another user');
  // A folder that all may write, such as /tmp, where each may remove only his own.
  const isSticky = (Number(stats.mode) & 0o1000) !== 0;
  if ((Number(stats.mode) & OTHERS_WRITE) !== 0 && !isSticky)
    throw unusable(name, `may be written by others; run: chmod go-w ${name}`);
}

function unusable(file: string, fault: string): ExoError {
  return new ExoError('ssh-key-unusable', `${file} ${fault}`);
}
