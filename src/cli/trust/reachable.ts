/** The address under which others reach a node of this machine, for an invitation. Pure but for the list of interfaces. */
import type { NetworkInterfaceInfo } from 'node:os';
import { type Address, addressScope, ExoError, isIPv6, isLoopback } from '../../shared/index.js';

/** Interfaces by name, as `os.networkInterfaces()` gives them. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/**
 * The address of a listener for others: its own, or where it listens on all the first private one, then a public one, IPv4 first.
 * Throws `option-missing` for a listener on loopback, which others reach through a tunnel only.
 */
export function reachableAddress(listener: Address, interfaces: Interfaces): Address {
  if (!EVERYWHERE.has(listener.host) && !isLoopback(listener.host)) return listener;
  const own = Object.values(interfaces)
    .flatMap((list) => list ?? [])
    .map(({ address }) => address)
    .filter((address) => ['private', 'public'].includes(addressScope(address)))
    .sort((a, b) => rank(a) - rank(b))[0];
  if (isLoopback(listener.host) || own === undefined) {
    throw new ExoError(
      'option-missing',
      'this node listens on loopback only, where no other machine reaches it; start it with --node-host 0.0.0.0, or name the address of a tunnel: exo key invite --address host:port',
    );
  }
  return { host: own, port: listener.port };
}

function rank(address: string): number {
  return (addressScope(address) === 'private' ? 0 : 2) + (isIPv6(address) ? 1 : 0);
}
