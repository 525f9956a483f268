/**
 * Tunnels: ssh connections with `-L` and `-R` that are described once and kept up. A tunnel is *up* when a health check
 * came back through it, not when a port opened. Knows nothing of the protocol (a probe is a function it is given) and
 * nothing of peers (a forward is an address). The node makes a manager with `createTunnels`.
 */
export type { TunnelManager, TunnelProbe, TunnelsComponents, TunnelsOptions } from './components.js';
export type { SessionFacts, SessionOptions, TunnelDriver, TunnelSession } from './driver.js';
export { TUNNEL_FAILURES, type TunnelFailure, type TunnelFailureCode, verdictOf } from './failure.js';
export { createTunnels } from './manager.js';
export type { Destination, DriverName, Endpoint, Forward, TunnelSource, TunnelSpec } from './tunnel-spec.js';
export type {
  ForwardStatus,
  ForwardVerdict,
  TunnelEvent,
  TunnelState,
  TunnelStatus,
  Tunnels,
} from './tunnel-status.js';
