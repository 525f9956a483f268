/** The lines of `exo ping`. Pure. */
import { printable } from '../../shared/index.js';
import { roundTrip } from './units.js';

/** One try. */
export type PingTry =
  | {
      readonly seq: number;
      readonly rttMs: number;
      readonly id: string;
      readonly address: string;
      readonly direction: string;
    }
  | { readonly seq: number; readonly error: { readonly code: string; readonly message: string } };

/** Counts and times of all tries; times are null when none was answered. */
export interface PingSummary {
  readonly sent: number;
  readonly received: number;
  readonly minMs: number | null;
  readonly avgMs: number | null;
  readonly maxMs: number | null;
}

/** One line per try. */
export function formatTry(attempt: PingTry): string {
  if ('error' in attempt) return `seq ${attempt.seq}: ${printable(attempt.error.message, 400)}`;
  const { seq, rttMs, id, address, direction } = attempt;
  const way = direction === 'in' ? 'over the connection it opened from' : 'at';
  return `${printable(id, 128)} ${way} ${printable(address)}: seq ${seq}, ${roundTrip(rttMs)}`;
}

/** What came of all tries. */
export function summarize(tries: readonly PingTry[]): PingSummary {
  const times = tries.flatMap((attempt) => ('error' in attempt ? [] : [attempt.rttMs]));
  const sent = tries.length;
  if (times.length === 0) return { sent, received: 0, minMs: null, avgMs: null, maxMs: null };
  return {
    sent,
    received: times.length,
    minMs: Math.min(...times),
    avgMs: times.reduce((sum, ms) => sum + ms, 0) / times.length,
    maxMs: Math.max(...times),
  };
}

/** The last line. */
export function formatSummary(node: string, summary: PingSummary): string {
  const head = `${printable(node, 128)}: ${summary.sent} sent, ${summary.received} answered`;
  if (summary.received === 0) return head;
  return `${head}, min ${roundTrip(summary.minMs)}, avg ${roundTrip(summary.avgMs)}, max ${roundTrip(summary.maxMs)}`;
}
