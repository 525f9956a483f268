/**
 * Where ssh connects to, as people write it: `user@host`, `user@host:port`, `ssh://user@host:port`, a Host of their ssh
 * configuration; and lists of jump hosts with commas. Only the form is read: whether a name is an alias is for ssh to say.
 */
import { isIPv6, isPort, LIMITS, printable } from '../../shared/index.js';
import { textFault, wordRefused } from './forbidden-text.js';
import type { Destination } from './tunnel-spec.js';

const INSTEAD = 'write user@host, user@host:port, ssh://user@host:port or a Host of your ssh configuration';
// No "+": our own names for jump hosts in a generated configuration have one (ssh-config.ts). No "*", "?", "!" or ",": patterns.
const HOST = /^[\p{L}\p{N}_][\p{L}\p{N}._-]*$/u;
const ZONE = /^[\p{L}\p{N}._-]+$/u;
const USER = /^[\p{L}\p{N}._+@=~\\-]+$/u;

/** Reads one destination. Throws `tunnel-spec-invalid`. */
export function parseDestination(text: string): Destination {
  const fault = textFault(text, { percent: true, backslash: true });
  if (fault !== undefined) throw wordRefused(text, fault, INSTEAD);
  const uri = /^ssh:\/\//i.test(text);
  const body = uri ? text.slice('ssh://'.length).replace(/\/$/, '') : text;
  if (uri && body.includes('/')) throw wordRefused(text, 'has a path behind the host', INSTEAD);
  if (!uri && body.includes('://')) throw wordRefused(text, 'is a URL of another kind than ssh://', INSTEAD);
  const at = body.lastIndexOf('@');
  const user = at < 0 ? undefined : body.slice(0, at);
  const { host, port } = hostAndPort(text, body.slice(at + 1));
  if (user !== undefined) checkUser(text, user);
  return { ...(user === undefined ? {} : { user }), host, ...(port === undefined ? {} : { port }), text };
}

/** Reads `-J`: destinations with commas, the first is dialled first. Throws `tunnel-spec-invalid`. */
export function parseJumps(text: string): readonly Destination[] {
  const parts = text.split(',');
  if (parts.length > LIMITS.tunnelJumpsMax) {
    throw wordRefused(
      text,
      `names ${parts.length} jump hosts`,
      `at most ${LIMITS.tunnelJumpsMax} are allowed`,
    );
  }
  return parts.map((part) => {
    if (part === '') throw wordRefused(text, 'has an empty jump host', 'write user@host,user@host:port');
    return parseDestination(part);
  });
}

/** A port from a flag or a file. Throws `tunnel-spec-invalid`. */
export function parsePort(text: string, whole: string = text): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!isPort(port))
    throw wordRefused(whole, `has the port "${printable(text, 20)}"`, 'write a port from 1 to 65535');
  return port;
}

function hostAndPort(text: string, part: string): { host: string; port?: number } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(part);
  if (bracketed !== null) return checked(text, bracketed[1] ?? '', bracketed[2]);
  const colons = part.split(':').length - 1;
  if (colons > 1) return checked(text, part, undefined);
  const [host = '', port] = part.split(':');
  return checked(text, host, port);
}

function checked(text: string, host: string, port: string | undefined): { host: string; port?: number } {
  checkHost(text, host);
  return port === undefined ? { host } : { host, port: parsePort(port, text) };
}

/** A host name, IPv4, IPv6 with or without zone, or a Host alias; throws `tunnel-spec-invalid` about `text`. */
export function checkHost(text: string, host: string, instead = INSTEAD): void {
  if (host === '') throw wordRefused(text, 'has no host', instead);
  if (host.startsWith('-')) {
    throw wordRefused(text, 'has a host that begins with "-", which ssh would read as an option', instead);
  }
  if (host.length > LIMITS.tunnelHostCharsMax) {
    throw wordRefused(text, `has a host of more than ${LIMITS.tunnelHostCharsMax} characters`, instead);
  }
  if (host.includes(':')) {
    const [address = '', zone] = host.split('%', 2);
    const rest = host.split('%').length > 2;
    if (isIPv6(address) && !rest && (zone === undefined || ZONE.test(zone))) return;
    throw wordRefused(text, 'has a host with colons that is no IPv6 address', instead);
  }
  if (host.includes('%')) throw wordRefused(text, 'has a "%", which ssh would expand', instead);
  if (/[*?!,]/.test(host)) throw wordRefused(text, 'has a host with a pattern character', instead);
  if (!HOST.test(host)) throw wordRefused(text, 'has a host with characters that no host name has', instead);
}

function checkUser(text: string, user: string): void {
  const instead = INSTEAD;
  if (user === '') throw wordRefused(text, 'has an "@" and no user before it', instead);
  if (user.startsWith('-')) {
    throw wordRefused(text, 'has a user that begins with "-", which ssh would read as an option', instead);
  }
  if (user.includes(':')) {
    throw wordRefused(
      text,
      'has a password, or a ":" in the user',
      'write no password here: use a key, or an agent',
    );
  }
  if (user.length > LIMITS.tunnelHostCharsMax || !USER.test(user) || user.endsWith('\\')) {
    throw wordRefused(text, 'has a user with characters that no user name has', instead);
  }
}

/** `user@host:port` with brackets where they are needed: the canonical words of a destination. */
export function formatDestination(destination: Omit<Destination, 'text'>): string {
  const { user, host, port } = destination;
  const place = host.includes(':') ? `[${host}]` : host;
  return `${user === undefined ? '' : `${user}@`}${place}${port === undefined ? '' : `:${port}`}`;
}
