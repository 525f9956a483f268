/** What an existing entry of a peers file means for `exo connect`, and which ports a file speaks for. Pure. */
import type { PeersFile } from '../../discovery/index.js';
import { isLoopback, parseAddress } from '../../shared/index.js';

/** An entry as it is written in the file. */
export type WrittenEntry = Readonly<Record<string, unknown>>;

/** The port of an entry that leads to this machine's own loopback; undefined for any other entry. */
export function loopbackPort(entry: WrittenEntry): number | undefined {
  const { address, port } = entry;
  if (typeof address !== 'string') return undefined;
  try {
    const parsed = parseAddress(address, typeof port === 'number' ? port : undefined);
    return isLoopback(parsed.host) ? parsed.port : undefined;
  } catch {
    return undefined;
  }
}

/** Ports of this machine that the file speaks for: loopback addresses and the listening ends of `-L`. */
export function portsOf({ peers, tunnels }: PeersFile): Set<number> {
  const ports = new Set<number>();
  for (const { address, tunnel } of peers) {
    if (isLoopback(address.host)) ports.add(address.port);
    for (const port of forwardPorts(tunnel)) ports.add(port);
  }
  for (const tunnel of Object.values(tunnels)) for (const port of forwardPorts(tunnel)) ports.add(port);
  return ports;
}

/** Numbers in `-L` that may be listening ports; too many do no harm here. */
function forwardPorts(tunnel: unknown): number[] {
  const forward = (tunnel as { forward?: unknown } | undefined)?.forward;
  if (!Array.isArray(forward)) return [];
  return forward.flatMap((text) =>
    typeof text === 'string'
      ? [...text.matchAll(/(?:^|:)(\d{1,5})(?=:|$)/g)].map((match) => Number(match[1]))
      : [],
  );
}
