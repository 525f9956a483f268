/**
 * Tunnels: ssh connections with `-L` and `-R` that are described once and kept up. A tunnel is *up* when a health check
 * came back through it, not when a port opened. Knows nothing of the protocol (a probe is a function it is given) and
 * nothing of peers (a forward is an address). The node makes a manager with `createTunnels`.
 *
 * description/ what is described · supervisor/ what is decided, without I/O · here what is done about it (runner.ts, prober.ts) ·
 * openssh/ and ssh2/ the two drivers, ssh/ what both need. Drivers know neither each other nor the supervisor.
 */

export type { TunnelManager, TunnelProbe, TunnelsComponents, TunnelsOptions } from './components.js';
export { type Clash, type ClashInput, findClashes } from './description/clashes.js';
export { formatDestination, parseDestination, parseJumps } from './description/destination.js';
export { formatEndpoint } from './description/endpoint-text.js';
export { formatForward, parseForward } from './description/forward.js';
export { listenPlace, listensAt } from './description/listening.js';
export { parseTunnelSpec, SPEC_FIELDS, type SpecContext, type SpecField } from './description/parse-spec.js';
export {
  describeSpec,
  specFromFlags,
  type TunnelDescription,
  type TunnelFlags,
} from './description/spec-from-flags.js';
export { ALLOWED_OPTIONS } from './description/ssh-options.js';
export type {
  Destination,
  DriverName,
  Endpoint,
  Forward,
  TunnelSource,
  TunnelSpec,
} from './description/tunnel-spec.js';
export { sameSpec, userTextOf, userWordsOf } from './description/user-text.js';
export type { SessionFacts, SessionOptions, TunnelDriver, TunnelSession } from './driver.js';
export { Drivers } from './drivers.js';
export { TUNNEL_FAILURES, type TunnelFailure, type TunnelFailureCode, verdictOf } from './failure.js';
export { explainListen } from './listen-failure.js';
export type { LocalSockets } from './local-sockets.js';
export { createTunnels } from './manager.js';
export {
  type CommandConnection,
  type CommandConnectionFacts,
  openCommandConnection,
} from './openssh/command-connection.js';
export {
  createEmbeddedServer,
  type EmbeddedRights,
  type EmbeddedServer,
  type EmbeddedServerComponents,
  type EmbeddedServerOptions,
  generateKeyPair,
  type KeyPair,
} from './ssh2/index.js';
export type {
  ForwardStatus,
  ForwardVerdict,
  TunnelEvent,
  TunnelState,
  TunnelStatus,
  Tunnels,
} from './tunnel-status.js';
