/**
 * A list of hosts as a person writes it (`--allow-legacy`): addresses, ranges in CIDR form, names, and `loopback`. Pure; names
 * are compared as they were dialled, never looked up.
 */
import { ExoError, hostRange, isLoopback } from '../shared/index.js';

/** Hosts that something is allowed for. */
export interface HostList {
  has(host: string): boolean;
}

/** Nobody. */
export const NO_HOSTS: HostList = { has: () => false };

/** Reads the entries. Throws `option-invalid` and names the entry; `option` is the flag, for people. */
export function parseHostList(entries: readonly string[], option: string): HostList {
  const tests = entries.map((entry) => testOf(entry.trim(), option));
  return { has: (host) => tests.some((fits) => fits(host)) };
}

function testOf(entry: string, option: string): (host: string) => boolean {
  if (entry === 'loopback') return isLoopback;
  const range = hostRange(entry);
  if (range !== undefined) return range;
  if (/^[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$/.test(entry) && !/^[0-9.]+$/.test(entry)) {
    const name = entry.toLowerCase();
    return (host) => host.toLowerCase() === name;
  }
  throw new ExoError(
    'option-invalid',
    `${option}: "${entry.slice(0, 80)}" is no address, range (192.168.1.0/24), host name or "loopback"`,
  );
}
