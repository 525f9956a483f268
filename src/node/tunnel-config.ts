/**
 * The tunnels of peers.json as specs: those under a peer and those at the top level, each read on its own, so that a bad one
 * costs nobody else anything. Pure; `node-tunnels.ts` applies the result.
 */
import type { PeerEntry } from '../discovery/index.js';
import { ExoError, printable, toExoError } from '../shared/index.js';
import { parseTunnelSpec, type TunnelSpec } from '../tunnels/index.js';

/** One description that cannot be used. */
export interface TunnelFault {
  /** Its name in peers.json. */
  readonly name: string;
  readonly error: ExoError;
}

/** What a file says of tunnels. */
export interface DescribedTunnels {
  readonly specs: readonly TunnelSpec[];
  readonly faults: readonly TunnelFault[];
}

/**
 * Reads all of them. Never throws: what is wrong with one is among the faults, in words. Relative names of files begin at
 * `baseFolder`, the folder of the file.
 */
export function readTunnels(
  tunnels: Readonly<Record<string, unknown>>,
  peers: readonly PeerEntry[],
  baseFolder: string,
): DescribedTunnels {
  const specs = new Map<string, TunnelSpec>();
  const faults: TunnelFault[] = [];
  const read = (name: string, written: unknown, peer?: string) => {
    const where =
      peer === undefined ? `"${printable(name, 60)}" under "tunnels"` : `of peer "${printable(name, 60)}"`;
    try {
      if (specs.has(name)) {
        throw new ExoError(
          'tunnel-clash',
          'a peer of that name has a tunnel too; give this one another name',
        );
      }
      specs.set(
        name,
        parseTunnelSpec(written, {
          name,
          source: 'peers-file',
          baseFolder,
          ...(peer === undefined ? {} : { peer }),
        }),
      );
    } catch (error) {
      const { code, message } = toExoError(error);
      faults.push({ name, error: new ExoError(code, `the tunnel ${where} is not opened: ${message}`) });
    }
  };
  for (const { id, tunnel } of peers) if (tunnel !== undefined) read(id, tunnel, id);
  for (const [name, written] of Object.entries(tunnels)) read(name, written);
  return { specs: [...specs.values()], faults };
}
