/**
 * Addresses of peers held against the tunnels of the same file: an address that passes by its tunnel, one where no tunnel
 * listens. Both are used as they are; a person is told. Clashes of ports are found by `tunnels` itself. Pure.
 */
import type { PeerEntry } from '../discovery/index.js';
import { type Address, formatAddress, isLoopback, printable } from '../shared/index.js';
import type { Endpoint, TunnelSpec } from '../tunnels/index.js';

/** One line for each address that looks wrong, with the way out. */
export function tunnelAdvice(peers: readonly PeerEntry[], specs: readonly TunnelSpec[]): string[] {
  return peers.flatMap((peer) => {
    const own = specs.find((spec) => spec.peer === peer.id);
    const line = own === undefined ? adviceWithout(peer, specs) : adviceWith(peer, own, specs);
    return line === undefined ? [] : [line];
  });
}

/** Whether an address is the listening end of a `-L`. */
export function listensAt(listen: Endpoint, address: Address): boolean {
  return listen.kind === 'tcp' && listen.port === address.port && sameMachineHost(listen.host, address.host);
}

function adviceWith(peer: PeerEntry, own: TunnelSpec, specs: readonly TunnelSpec[]): string | undefined {
  const ports = listenPorts([own]);
  // Only -R: the other side dials, and this address is another way to it.
  if (ports.length === 0 || isServed(peer.address, specs)) return undefined;
  const { address } = peer;
  const name = printable(peer.id, 60);
  const wanted = `"address": "127.0.0.1:${ports[0]}"`;
  return isLoopback(address.host)
    ? `peer "${name}" is at ${formatAddress(address)}, where its tunnel does not listen (it listens on ${ports.join(', ')}): write ${wanted}`
    : `peer "${name}" has a tunnel, and its address ${formatAddress(address)} passes it by: write ${wanted}`;
}

function adviceWithout(peer: PeerEntry, specs: readonly TunnelSpec[]): string | undefined {
  const { address } = peer;
  const name = printable(peer.id, 60);
  for (const spec of specs) {
    for (const { listen, target } of spec.forward) {
      if (target.kind !== 'tcp' || listen.kind !== 'tcp' || listen.port === 0) continue;
      if (target.port !== address.port || target.host !== address.host || isLoopback(address.host)) continue;
      return `peer "${name}" is dialled at ${formatAddress(address)} directly, though the tunnel "${printable(spec.name, 60)}" leads there: write "address": "127.0.0.1:${listen.port}"`;
    }
  }
  // A file that leads its peers through tunnels of its own; where it has none, somebody else may open them.
  const shared = specs.filter((spec) => spec.peer === undefined);
  const ports = listenPorts(shared);
  if (ports.length === 0 || !isLoopback(address.host) || isServed(address, specs)) return undefined;
  return `peer "${name}" is at ${formatAddress(address)}, where no tunnel of this file listens (they listen on ${ports.join(', ')}): correct the port, unless another node of this machine or an ssh of your own is there`;
}

function isServed(address: Address, specs: readonly TunnelSpec[]): boolean {
  return specs.some((spec) => spec.forward.some(({ listen }) => listensAt(listen, address)));
}

function listenPorts(specs: readonly TunnelSpec[]): number[] {
  return specs.flatMap((spec) =>
    spec.forward.flatMap(({ listen }) => (listen.kind === 'tcp' && listen.port !== 0 ? [listen.port] : [])),
  );
}

const EVERY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '*', '']);

/** `localhost`, 127.0.0.1 and the wildcards are one place for somebody on this machine. */
function sameMachineHost(listen: string, dialled: string): boolean {
  return listen === dialled || ((isLoopback(listen) || EVERY_ADDRESS.has(listen)) && isLoopback(dialled));
}
