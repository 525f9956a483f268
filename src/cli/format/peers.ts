/** `exo peers`: one line per peer, and with `--all` why others are not used. Pure. */
import { printable } from '../../shared/index.js';
import type { PeerJson, PeersJson, RefusalJson, WarningJson } from '../api-shapes.js';
import type { Colours } from '../host.js';
import { columns } from './columns.js';
import { ago, bytes, count, duration, rate, roundTrip } from './units.js';

const HEAD = [
  'NAME',
  'STATE',
  'TRUST',
  'ADDRESS',
  'DIR',
  'RTT',
  'RATE',
  'HEARD',
  'IN/OUT',
  'FOUND BY',
] as const;
const TRUST_COLUMN = 2;
const STATE_COLUMN = 1;
/** States that need no explanation. */
const FINE: ReadonlySet<string> = new Set(['alive']);
/** Shown only with `--all`. */
const GONE: ReadonlySet<string> = new Set(['dead', 'left']);

/** The lines of `exo peers`. */
export function formatPeers(view: PeersJson, all: boolean, nowMs: number, c: Colours): string[] {
  const shown = view.peers.filter((peer) => all || !GONE.has(peer.state));
  const hidden = view.peers.length - shown.length;
  const lines = shown.length === 0 ? ['no peers'] : [...peerLines(shown, c, c.dim), ...reasonLines(shown)];
  if (all) {
    lines.push('', view.refusals.length === 0 ? 'nothing was refused' : `refused (${view.refusals.length})`);
    lines.push(...refusalLines(view.refusals, nowMs));
    if (view.spare_addresses.length > 0) {
      lines.push('', `other addresses (${view.spare_addresses.length})`);
      lines.push(...refusalLines(view.spare_addresses, nowMs));
    }
  } else if (hidden + view.refusals.length > 0) {
    const gone = hidden === 0 ? [] : [`${count(hidden, 'peer')} gone`];
    const refused = view.refusals.length === 0 ? [] : [`${view.refusals.length} refused`];
    lines.push('', `${[...gone, ...refused].join(', ')}: exo peers --all says why`);
  }
  return [...lines, ...warningLines(view.warnings, c)];
}

/** Peers as a table. */
export function peerLines(
  peers: readonly PeerJson[],
  c: Colours,
  paintHead: (text: string) => string,
): string[] {
  const rows = peers.map((peer) => [
    peer.aliases.length === 0 ? peer.id : `${peer.id} (${peer.aliases.join(', ')})`,
    peer.protocol === 'legacy' ? `${peer.state}, old` : peer.state,
    trustWord(peer),
    peer.address,
    peer.direction,
    roundTrip(peer.rtt_ms),
    rate(peer.bytes_per_s ?? null),
    // Of somebody who is gone nothing is counted any more.
    GONE.has(peer.state) && peer.silent_ms === null ? '-' : ago(peer.silent_ms),
    GONE.has(peer.state) ? '-' : `${bytes(peer.bytes_in)}/${bytes(peer.bytes_out)}`,
    peer.description,
  ]);
  // In an open mesh without encryption there is nothing to say about it.
  const isShown = peers.some(({ encrypted, trust }) => encrypted || trust !== null);
  const table = [[...HEAD], ...rows].map((row) =>
    isShown ? row : row.filter((_, column) => column !== TRUST_COLUMN),
  );
  const [head = '', ...lines] = columns(table, {
    paint: (text, row, column) =>
      column === STATE_COLUMN && row > 0 ? paintState(text, peers[row - 1]!.state, c) : text,
  });
  return [paintHead(head), ...lines];
}

function trustWord({ encrypted, trust }: PeerJson): string {
  if (trust !== null) return printable(trust, 40);
  return encrypted ? 'encrypted' : 'plain';
}

/** Why peers are not alive, and when they are tried again. */
export function reasonLines(peers: readonly PeerJson[]): string[] {
  return peers
    .filter((peer) => !FINE.has(peer.state) && peer.reason !== '')
    .map(({ id, reason, next_dial_ms: next }) => {
      const again = next === null ? '' : `; next try in ${duration(next)}`;
      return `  ${printable(id, 64)}: ${printable(reason, 400)}${again}`;
    });
}

/** The block of what only a person can mend; empty when there is nothing. */
export function warningLines(warnings: readonly WarningJson[], c: Colours): string[] {
  if (warnings.length === 0) return [];
  return [
    '',
    c.yellow('# warnings'),
    ...warnings.map(({ code, message }) => `  - ${printable(code, 64)}: ${printable(message, 600)}`),
  ];
}

function refusalLines(refusals: readonly RefusalJson[], nowMs: number): string[] {
  return refusals.map(
    ({ module, subject, reason, at_ms: atMs }) =>
      `  ${printable(subject, 120)} (${printable(module, 20)}, ${ago(Math.max(0, nowMs - atMs))}): ${printable(reason, 600)}`,
  );
}

function paintState(text: string, state: string, c: Colours): string {
  if (state === 'alive') return c.green(text);
  return state === 'connecting' || state === 'suspect' ? c.yellow(text) : c.red(text);
}
