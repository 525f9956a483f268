/**
 * The states of a connection, and which may follow which.
 *
 *            hello on both sides, "correlated" in common
 *   fresh ─────────────────────────────────────────────► established ──┐
 *     │                                                    ▲           │
 *     │ anything of the base protocol                hello │           ▼
 *     └───────────────────────────────────────────────► legacy ───► closed
 *
 * A hello without "correlated" in common leaves the connection in `legacy`.
 */
import { ExoError } from '../shared/index.js';
import type { ConnectionState } from './connection-api.js';

const NEXT: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  fresh: ['legacy', 'established', 'closed'],
  legacy: ['established', 'closed'],
  established: ['closed'],
  closed: [],
};

/** The new state. Throws `internal` when the table has no such transition; staying is always allowed. */
export function transition(from: ConnectionState, to: ConnectionState): ConnectionState {
  if (from === to || NEXT[from].includes(to)) return to;
  throw new ExoError('internal', `a connection cannot become ${to} when it is ${from}`);
}
