/** Network addresses as people write them (`host:port`, `[v6]:port`), and what kind of place an IP is. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { ExoError } from './errors.js';
import { printable } from './text.js';

/** A host (name or IP, no brackets) and a TCP or UDP port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, with brackets around IPv6. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Reads `host:port`, `[v6]:port`, or a bare host when `defaultPort` is given. Throws `candidate-invalid`. */
export function parseAddress(text: string, defaultPort?: number): Address {
  const trimmed = text.trim();
  const match =
    /^\[(?<v6>[0-9a-fA-F:.%\w]+)\](?::(?<port6>\d{1,5}))?$/.exec(trimmed) ??
    /^(?<host>[A-Za-z0-9._-]+)(?::(?<port>\d{1,5}))?$/.exec(trimmed);
  const groups = match?.groups ?? {};
  let host = groups['v6'] ?? groups['host'];
  let portText = groups['port6'] ?? groups['port'];
  if (match === null && ipaddr.IPv6.isValid(trimmed)) {
    host = trimmed;
    portText = undefined;
  }
  if (host === undefined || host.startsWith('-')) {
    throw new ExoError(
      'candidate-invalid',
      `"${printable(text)}" is not an address; write host:port or [ipv6]:port`,
    );
  }
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port === undefined) {
    throw new ExoError(
      'candidate-invalid',
      `"${printable(text)}" has no port; write it as ${printable(host)}:50051`,
    );
  }
  if (!isPort(port)) {
    throw new ExoError(
      'candidate-invalid',
      `port ${port} of "${printable(text)}" is not between 1 and 65535`,
    );
  }
  return { host, port };
}

/** A port number that can be dialled. */
export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
}

/** Whether a text is an IPv6 address, without brackets and zone. */
export function isIPv6(text: string): boolean {
  return isIP(text) === 6;
}

/** What kind of place an IP address is. */
export type AddressScope = 'loopback' | 'link-local' | 'private' | 'public' | 'unusable';

/** The scope of an IP; a name (not an IP) counts as public, because nothing is known about it. */
export function addressScope(host: string): AddressScope {
  const bare = host.split('%', 1)[0] ?? host;
  if (bare === 'localhost') return 'loopback';
  if (isIP(bare) === 0) return 'public';
  switch (ipaddr.process(bare).range()) {
    case 'loopback':
      return 'loopback';
    case 'linkLocal':
      return 'link-local';
    case 'private':
    case 'uniqueLocal':
    case 'carrierGradeNat':
      return 'private';
    case 'unspecified':
    case 'broadcast':
    case 'multicast':
      return 'unusable';
    default:
      return 'public';
  }
}

/** Whether connections to or from this host stay on this machine. */
export function isLoopback(host: string): boolean {
  return addressScope(host) === 'loopback';
}

/** Reads an IP address or a range in CIDR form as a test of hosts; undefined when the text is neither. Names are in no range. */
export function hostRange(text: string): ((host: string) => boolean) | undefined {
  const [address = '', length, more] = text.split('/');
  if (isIP(address) === 0 || more !== undefined) return undefined;
  const range = ipaddr.process(address);
  const bitsMax = range.kind() === 'ipv4' ? 32 : 128;
  const bits = length === undefined ? bitsMax : Number(length);
  if (!(length === undefined || /^\d{1,3}$/.test(length)) || bits > bitsMax) return undefined;
  return (host) => {
    const bare = host.split('%', 1)[0] ?? host;
    if (isIP(bare) === 0) return false;
    const ip = ipaddr.process(bare);
    return ip.kind() === range.kind() && ip.match(range, bits);
  };
}

const DIAL_ORDER: readonly AddressScope[] = ['link-local', 'private', 'public', 'loopback', 'unusable'];

/** Order in which several addresses of one peer are dialled (nearest wire first). */
export function compareForDialling(a: string, b: string): number {
  return DIAL_ORDER.indexOf(addressScope(a)) - DIAL_ORDER.indexOf(addressScope(b));
}
