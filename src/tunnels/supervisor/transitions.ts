/**
 * The states of a tunnel and the ways between them, as one table. No I/O. `supervisor.ts` asks before every change; the
 * meaning of each state is in `tunnel-status.ts`.
 *
 *   ┌─ a session, on its way or open ──────────────────────────┐
 *   │                                   ┌──── proven ────► up  │
 *   │  starting ── forwards stand ──► gate                ▲ │  │
 *   │   ▲  ▲  └── not to be probed ──────┼────────► up    │ │  │
 *   │   │  │                             └─ not ─► degraded ◄  │
 *   │   │  └──── again, with a pty ── gate, degraded           │
 *   └───┼────────────┬────────────────────────────────┬────────┘
 *       │            │ ended, or silent too long      │ only a person can help
 *       │            ▼                                ▼
 *       ├──────── backoff                           failed ──► starting: a person asks
 *    its time: a delay, a knock, a port; wake, network, hint
 *
 * `stopped` (closed by a person) is reached from everywhere and leads to starting.
 */
import { ExoError } from '../../shared/index.js';
import type { TunnelState } from '../tunnel-status.js';

/** From each state to which others. */
export const TUNNEL_TRANSITIONS: Readonly<Record<TunnelState, readonly TunnelState[]>> = {
  stopped: ['starting'],
  starting: ['gate', 'up', 'backoff', 'failed', 'stopped'],
  gate: ['up', 'degraded', 'starting', 'backoff', 'failed', 'stopped'],
  up: ['degraded', 'backoff', 'failed', 'stopped'],
  degraded: ['up', 'starting', 'backoff', 'failed', 'stopped'],
  backoff: ['starting', 'stopped'],
  failed: ['starting', 'stopped'],
};

/** Throws `internal` for a way that is not in the table; staying is always allowed. */
export function assertTransition(from: TunnelState, to: TunnelState): void {
  if (from !== to && !TUNNEL_TRANSITIONS[from].includes(to)) {
    throw new ExoError('internal', `a tunnel cannot go from ${from} to ${to}`);
  }
}
