/** For the tests of the ssh2 driver beside the compliance suite: its descriptions, and a driver on the system's clock. */
import assert from 'node:assert/strict';
import { systemClock } from '../../src/shared/index.js';
import type { SessionOptions, TunnelDriver, TunnelSession, TunnelSpec } from '../../src/tunnels/index.js';
import { createSsh2Driver, type Ssh2DriverComponents } from '../../src/tunnels/ssh2/driver.js';
import { specFor as describe, end, type Reachable } from '../compliance/tunnel-specs.js';
import { inTime } from '../support/eventually.js';
import { freePort } from '../support/ports.js';

export { end, ended, forward, opened, type Reachable, refused } from '../compliance/tunnel-specs.js';

/** Short enough for a test, long enough for a busy machine. */
export const SESSION: SessionOptions = {
  connectTimeoutMs: 5_000,
  keepaliveIntervalMs: 10_000,
  keepaliveCountMax: 3,
  pty: false,
};

/** A description of a tunnel of this driver to a server; everything can be changed. */
export function specFor(server: Reachable, changes: Partial<TunnelSpec> = {}): TunnelSpec {
  return describe(server, { driver: 'ssh2', ...changes });
}

/** A driver and its sessions; `stop` ends all. */
export function makeDriver(components: Partial<Ssh2DriverComponents> = {}): TunnelDriver {
  return createSsh2Driver(
    { stateFolder: '/nowhere/exo-test' },
    { clock: systemClock, env: {}, ...components },
  );
}

/**
 * Every server on the way has read what was sent so far, and what was sent in answer to it: one that is killed now ends its
 * connection with a FIN. With bytes unread the system resets it, and the client has another reason to tell.
 */
export async function untilRead(session: TunnelSession): Promise<void> {
  // An answer says that all before it was read; what its sender had said before may be answered after the question of one round.
  for (let round = 0; round < 2; round += 1) {
    const connecting = session.connectFar(end(await freePort()), AbortSignal.timeout(inTime(5_000)));
    await assert.rejects(connecting, { code: 'connect-failed' });
  }
}
