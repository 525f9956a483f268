/** The parts of the room that one running tunnel works with; the manager has them for all of its runners. Types only. */
import type { Clock, Logger, Random } from '../shared/index.js';
import type { TunnelProbe } from './components.js';
import type { TunnelSpec } from './description/tunnel-spec.js';
import type { TunnelDriver } from './driver.js';
import type { TunnelFailure } from './failure.js';
import type { FarPids } from './far-pids.js';
import type { LocalSockets } from './local-sockets.js';
import type { OpeningGate } from './opening-gate.js';

/** What a runner needs. */
export interface RunnerComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly probe: TunnelProbe;
  readonly sockets: LocalSockets;
  readonly farPids: FarPids;
  readonly gate: OpeningGate;
  /** The driver for this tunnel, or why there is none. */
  driverOf(spec: TunnelSpec): Promise<TunnelDriver | TunnelFailure>;
  /** Whether a peer is connected through the tunnel, as far as can be told. */
  isInUse(spec: TunnelSpec): boolean;
  onChange(): void;
  onUp(spec: TunnelSpec): void;
}
