/** Opens all forwards of a session of the ssh2 driver, and tells of all that do not stand, not only of the first. */
import type { Socket } from 'node:net';
import type { Forward, TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionFacts } from '../driver.js';
import { gravest } from '../failure.js';
import { type LocalListener, listenLocal } from './local-listener.js';
import type { RemoteListener } from './remote-listener.js';
import { failureOf, SessionFailed } from './session-failed.js';

/** What a session hands in. */
export interface ForwardDesk {
  readonly remote: RemoteListener;
  /** A connection to a `-L`. */
  onConnection(forward: Forward, socket: Socket): void;
  /** Told of every listener as soon as it stands, so that it is closed with the session. */
  onListening(listener: LocalListener): void;
}

/** The real ports, or a `SessionFailed` about all forwards with the gravest reason. */
export async function standForwards(
  spec: TunnelSpec,
  desk: ForwardDesk,
): Promise<Pick<SessionFacts, 'forwardPorts' | 'reversePorts'>> {
  const local = spec.forward.map(async (forward) => {
    const listener = await listenLocal(forward, (socket) => desk.onConnection(forward, socket));
    desk.onListening(listener);
    return listener.port;
  });
  const remote = spec.reverse.map((forward) => desk.remote.listen(forward));
  const results = await Promise.allSettled([...local, ...remote]);
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [failureOf(result.reason)] : [],
  );
  if (failures.length > 0) {
    const { code, message, forwards } = gravest(failures);
    throw new SessionFailed(code, message, forwards);
  }
  const ports = results.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
  const count = spec.forward.length;
  return { forwardPorts: ports.slice(0, count), reversePorts: ports.slice(count) };
}
