/** Tunnels as JSON, in snake_case. Pure. */
import type { TunnelEvent, TunnelStatus } from '../tunnels/index.js';

/** One tunnel, as in `/v1/tunnels`, `/v1/status` and each snapshot of `/v1/events`. */
export function tunnelJson(tunnel: TunnelStatus) {
  return {
    name: tunnel.name,
    source: tunnel.source,
    peer: tunnel.peer,
    destination: tunnel.destination,
    driver: tunnel.driver,
    state: tunnel.state,
    reason: tunnel.reason,
    code: tunnel.code,
    since_at_ms: tunnel.sinceAtMs,
    up_since_at_ms: tunnel.upSinceAtMs,
    restarts: tunnel.restarts,
    next_try_ms: tunnel.nextTryInMs,
    bytes_in: tunnel.bytesIn,
    bytes_out: tunnel.bytesOut,
    rtt_ms: tunnel.rttMs,
    forwards: tunnel.forwards.map(({ kind, text, listen, target, verdict, rttMs }) => ({
      kind,
      text,
      listen,
      target,
      verdict,
      rtt_ms: rttMs,
    })),
    pid: tunnel.pid,
    cipher: tunnel.cipher,
    notes: [...tunnel.notes],
  };
}

/** One change of state. */
export function tunnelEventJson({ atMs, from, to, code, reason }: TunnelEvent) {
  return { at_ms: atMs, from, to, code, reason };
}
