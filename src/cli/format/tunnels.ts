/** `exo tunnel list`, `status` and `logs`: tunnels as lines. Pure. */
import { printable } from '../../shared/index.js';
import type { TunnelDetailJson, TunnelEventJson, TunnelJson, TunnelsJson } from '../api-shapes.js';
import type { Colours } from '../host.js';
import { columns } from './columns.js';
import { warningLines } from './peers.js';
import { bytes, count, duration, roundTrip } from './units.js';

const HEAD = ['NAME', 'STATE', 'SINCE', 'DESTINATION', 'FORWARDS', 'RTT', 'RESTARTS', 'REASON'] as const;
const STATE_COLUMN = 1;
/** In a table; `exo tunnel status` has all of it. */
const REASON_CHARS_MAX = 60;
const REASON_LINE_CHARS_MAX = 600;
const EVENTS_SHOWN = 8;

/** The lines of `exo tunnel list`. */
export function formatTunnels(view: TunnelsJson, nowMs: number, c: Colours): string[] {
  const { tunnels } = view;
  const lines =
    tunnels.length === 0
      ? ['no tunnels; exo tunnel open --help shows how to open one, peers.example.json how to describe one']
      : tableOf(tunnels, nowMs, c);
  return [...lines, ...warningLines(view.warnings, c)];
}

/** Tunnels as a table. */
export function tableOf(tunnels: readonly TunnelJson[], nowMs: number, c: Colours): string[] {
  const rows = tunnels.map((tunnel) => [
    tunnel.name,
    tunnel.state,
    duration(nowMs - tunnel.since_at_ms),
    tunnel.destination,
    tunnel.forwards.map(({ kind, text }) => `-${kind} ${text}`).join(' '),
    roundTrip(tunnel.rtt_ms),
    String(tunnel.restarts),
    shortReason(tunnel),
  ]);
  const [head = '', ...lines] = columns([[...HEAD], ...rows], {
    paint: (text, row, column) =>
      column === STATE_COLUMN && row > 0 ? paintState(text, tunnels[row - 1]!.state, c) : text,
  });
  return [c.dim(head), ...lines];
}

/** The block of one tunnel; with its history where that is known. */
export function formatTunnel(
  { tunnel, history }: Pick<TunnelDetailJson, 'tunnel' | 'history'>,
  nowMs: number,
  c: Colours,
): string[] {
  const since = duration(nowMs - tunnel.since_at_ms);
  const head = `${c.bold(printable(tunnel.name, 128))}  ${paintState(printable(tunnel.state, 20), tunnel.state, c)} for ${since}, ${count(tunnel.restarts, 'restart')}`;
  const traffic =
    tunnel.bytes_in === null || tunnel.bytes_out === null
      ? []
      : [['traffic', `${bytes(tunnel.bytes_in)} in, ${bytes(tunnel.bytes_out)} out`]];
  const carrier = [tunnel.driver, tunnel.pid === null ? null : `pid ${tunnel.pid}`, tunnel.cipher].filter(
    (part) => part !== null,
  );
  const facts = [
    ['destination', tunnel.destination],
    ['described in', tunnel.source === 'peers-file' ? 'peers.json' : 'the command that opened it'],
    ...(tunnel.peer === null ? [] : [['peer', tunnel.peer]]),
    ...(carrier.length === 0 ? [] : [['ssh', carrier.join(', ')]]),
    ['round trip', roundTrip(tunnel.rtt_ms)],
    ...traffic,
  ];
  const forwards = tunnel.forwards.map(({ kind, listen, target, verdict, rtt_ms: rttMs }) => [
    kind === 'L' ? `-L here ${listen} → ${target} there` : `-R there ${listen} → ${target} here`,
    verdict,
    roundTrip(rttMs),
  ]);
  const events = history.slice(-EVENTS_SHOWN);
  return [
    head,
    ...reasonLines(tunnel),
    ...columns(facts),
    ...columns(forwards),
    ...tunnel.notes.map((note) => `  note: ${printable(note, REASON_LINE_CHARS_MAX)}`),
    ...(events.length === 0 ? [] : ['', c.dim('  what happened last')]),
    ...events.map((event) => `  ${formatEvent(event, c)}`),
  ];
}

/** One change of state, with the time of day where the reader is. */
export function formatEvent({ at_ms: atMs, from, to, code, reason }: TunnelEventJson, c: Colours): string {
  const why = code === null ? reason : `${reason} (${code})`;
  return `${c.dim(stamp(atMs))}  ${printable(from, 20)} → ${paintState(printable(to, 20), to, c)}  ${printable(why, REASON_LINE_CHARS_MAX)}`;
}

/** For one line of `--watch` where there is no terminal to redraw, and for `exo tunnel open`. */
export function stateLine(tunnel: TunnelJson, c: Colours): string {
  const next = tunnel.next_try_ms === null ? '' : `; next try in ${duration(tunnel.next_try_ms)}`;
  return `${printable(tunnel.name, 128)} ${paintState(printable(tunnel.state, 20), tunnel.state, c)}: ${printable(tunnel.reason, REASON_LINE_CHARS_MAX)}${next}`;
}

/** For `exo status` and `exo peers`: those that are not as they should be; empty where all are. */
export function tunnelSummary(tunnels: readonly TunnelJson[], c: Colours): string[] {
  const troubled = tunnels.filter(({ state }) => state !== 'up' && state !== 'stopped');
  if (troubled.length === 0) return [];
  return [
    '',
    c.yellow('# tunnels that are not up (exo doctor tunnels says what to do)'),
    ...troubled.map((tunnel) => `  ${stateLine(tunnel, c)}`),
  ];
}

/** Colours a state word: good, on its way, broken. */
export function paintState(text: string, state: string, c: Colours): string {
  if (state === 'up') return c.green(text);
  if (state === 'failed') return c.red(text);
  return state === 'stopped' ? c.dim(text) : c.yellow(text);
}

function shortReason(tunnel: TunnelJson): string {
  if (tunnel.state === 'up') return '';
  const next = tunnel.next_try_ms === null ? '' : `next try in ${duration(tunnel.next_try_ms)}: `;
  const text = `${next}${tunnel.reason}`;
  return text.length > REASON_CHARS_MAX ? `${text.slice(0, REASON_CHARS_MAX - 1)}…` : text;
}

function reasonLines(tunnel: TunnelJson): string[] {
  if (tunnel.reason === '') return [];
  const next = tunnel.next_try_ms === null ? '' : `; next try in ${duration(tunnel.next_try_ms)}`;
  return [`  ${printable(tunnel.reason, REASON_LINE_CHARS_MAX)}${next}`];
}

function stamp(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
