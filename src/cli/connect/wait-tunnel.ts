/** Waits until the near node has proven the tunnel, or says why it will not come up. */
import { ExoError, printable, sleep, toExoError } from '../../shared/index.js';
import type { TunnelJson } from '../api-shapes.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import { TunnelClient } from '../tunnel/client.js';
import type { NearNode } from './near-node.js';

/** What came of it: up, or a port that somebody else has. */
export type TunnelOutcome =
  | { readonly kind: 'up'; readonly tunnel: TunnelJson }
  | { readonly kind: 'busy'; readonly side: 'near' | 'far'; readonly reason: string };

const UP_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 50;
/** A stale session of our own is evicted within this; then the port is somebody else's. */
const BUSY_FOR_MS = 4_000;

/** Rejects with `tunnel-failed` when it has failed for good or is not up in time. */
export async function waitForTunnel(
  host: CliHost,
  near: NearNode,
  name: string,
  signal: AbortSignal,
  tell: (text: string) => void,
): Promise<TunnelOutcome> {
  const client = new TunnelClient(host.clock, near.api);
  const startMs = host.clock.now();
  let busySinceMs: number | undefined;
  let last: TunnelJson | undefined;
  for (;;) {
    last = await look(client, name, signal);
    const nowMs = host.clock.now();
    if (last?.state === 'up') return { kind: 'up', tunnel: last };
    if (last?.state === 'failed' || last?.state === 'stopped') throw failed(last);
    const side = busySide(last);
    busySinceMs = side === undefined ? undefined : (busySinceMs ?? nowMs);
    if (side !== undefined && busySinceMs !== undefined && nowMs - busySinceMs > BUSY_FOR_MS) {
      return { kind: 'busy', side, reason: last?.reason ?? '' };
    }
    if (nowMs - startMs > UP_WITHIN_MS) throw late(name, last);
    if (last !== undefined) tell(printable(`${last.state}, ${last.reason}`, 200));
    await sleep(host.clock, LOOK_EVERY_MS, signal);
  }
}

/** The tunnel as it stands; undefined while the node has not read the file, or where it has none of that name. */
export async function look(
  client: TunnelClient,
  name: string,
  signal: AbortSignal,
): Promise<TunnelJson | undefined> {
  try {
    return (await client.get(name, signal)).tunnel;
  } catch (error) {
    if (toExoError(error).code === 'tunnel-unknown') return undefined;
    throw error;
  }
}

function busySide(tunnel: TunnelJson | undefined): 'near' | 'far' | undefined {
  switch (tunnel?.code) {
    case 'local-port-busy':
    case 'local-port-ephemeral':
      return 'near';
    case 'remote-port-busy':
      return 'far';
    default:
      return undefined;
  }
}

function failed(tunnel: TunnelJson): ExoError {
  const policy = tunnel.code === 'forward-refused';
  return policy
    ? new HintedError(
        'tunnel-failed',
        tunnel.reason,
        'the sshd there must allow it: AllowTcpForwarding yes (and no restrict or no-port-forwarding for this key)',
      )
    : new ExoError('tunnel-failed', tunnel.reason);
}

function late(name: string, tunnel: TunnelJson | undefined): ExoError {
  const how =
    tunnel === undefined ? 'the node has not opened it' : `it is in state ${tunnel.state}: ${tunnel.reason}`;
  return new ExoError('tunnel-failed', `the tunnel ${name} is not up after ${UP_WITHIN_MS / 1000} s; ${how}`);
}
