/** The far node's entry in the near peers file: which port it has, what it says, and the way back. */
import {
  type PeerEdit,
  peerAsWritten,
  readPeersFile,
  withoutPeer,
  withoutTunnel,
  withPeer,
} from '../../discovery/index.js';
import { ExoError, formatAddress, printable } from '../../shared/index.js';
import type { FarNode } from './far-protocol.js';
import type { NearNode } from './near-node.js';
import { loopbackPort, portsOf, type WrittenEntry } from './peer-entries.js';
import { editPeersFile, readPeersText, restorePeersFile } from './peers-file-store.js';
import { freePortFrom } from './ports.js';
import type { SshWords } from './ssh-words.js';

/** The seed's own number for the near end of `-L`. */
const FORWARD_PORT = 50_052;

/** What the entry is made of. */
export interface NearEntry {
  readonly far: Pick<FarNode, 'id' | 'nodeHost' | 'nodePort'>;
  readonly words: SshWords;
  readonly nearPort: number;
  /** Null: the far node does not dial back. */
  readonly farPort: number | null;
}

/** The entry that is there already; null where there is none. Throws `tunnel-clash` for a tunnel to somewhere else. */
export function entryBefore(near: NearNode, id: string, words: SshWords): WrittenEntry | null {
  const before = peerAsWritten(readPeersText(near.peersFile), near.peersFile, id) ?? null;
  const other = (before?.['tunnel'] as { ssh?: unknown } | undefined)?.ssh;
  if (other !== undefined && other !== words.ssh) {
    throw new ExoError(
      'tunnel-clash',
      `${near.peersFile} has a tunnel to ${printable(id, 60)} through ${printable(String(other), 80)} already; remove it there (or: exo disconnect ${printable(id, 60)}), or connect through that one`,
    );
  }
  return before;
}

/** The port of `-L` here: the one of an earlier run, or a free one. */
export async function choosePort(
  near: NearNode,
  before: WrittenEntry | null,
  avoid: ReadonlySet<number>,
): Promise<number> {
  const kept = before?.['tunnel'] === undefined ? undefined : loopbackPort(before);
  if (kept !== undefined && !avoid.has(kept)) return kept;
  const taken = portsOf(await readPeersFile(near.peersFile));
  return freePortFrom(FORWARD_PORT, new Set([...taken, ...avoid, near.nodePort, near.api.port]));
}

/** Writes the entry. The result undoes it. */
export function writeNearEntry(near: NearNode, entry: NearEntry, before: WrittenEntry | null): () => void {
  const edited = editPeersFile(near.peersFile, (text, file) =>
    withPeer(text, file, entry.far.id, nearEdit(near, entry)),
  );
  return () =>
    restorePeersFile(near.peersFile, edited, (text, file) =>
      withoutNearEntry(text, file, entry.far.id, before),
    );
}

/** Whether the file says exactly this. */
export function saysNearEntry(near: NearNode, entry: NearEntry): boolean {
  const text = readPeersText(near.peersFile);
  return withPeer(text, near.peersFile, entry.far.id, nearEdit(near, entry)) === text;
}

/** The file as it would be without `exo connect`. */
export function withoutNearEntry(
  text: string,
  file: string,
  id: string,
  before: WrittenEntry | null,
): string {
  const address = before?.['address'];
  if (typeof address !== 'string') return withoutPeer(text, file, id);
  if (peerAsWritten(text, file, id) === undefined) return text;
  const { port, tunnel } = before!;
  const whole = typeof port === 'number' ? formatAddress({ host: address, port }) : address;
  const changed = withPeer(text, file, id, { address: whole });
  return tunnel === undefined ? withoutTunnel(changed, file, id) : changed;
}

/** In the words of ssh, as a person would write it. */
export function forwardsOf(
  near: NearNode,
  { far, nearPort, farPort }: NearEntry,
): {
  readonly forward: readonly string[];
  readonly reverse: readonly string[];
} {
  const target = formatAddress({ host: far.nodeHost, port: far.nodePort });
  const back = formatAddress({ host: near.nodeHost, port: near.nodePort });
  return {
    forward: [`${nearPort}:${target}`],
    reverse: farPort === null ? [] : [`${farPort}:${back}`],
  };
}

function nearEdit(near: NearNode, entry: NearEntry): PeerEdit {
  const { ssh, ...more } = entry.words;
  const { forward, reverse } = forwardsOf(near, entry);
  return {
    address: formatAddress({ host: '127.0.0.1', port: entry.nearPort }),
    tunnel: { ssh, forward, ...(reverse.length === 0 ? {} : { reverse }), ...more },
  };
}
