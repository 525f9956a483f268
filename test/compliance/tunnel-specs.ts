/** For the tests of tunnel drivers: descriptions by hand, and how a session opened or ended. */
import type {
  Endpoint,
  Forward,
  SessionFacts,
  TunnelFailure,
  TunnelSession,
  TunnelSpec,
} from '../../src/tunnels/index.js';

/** The parts of a server that a description needs. */
export interface Reachable {
  readonly user: string;
  readonly address: string;
  readonly port: number;
  readonly identity: string;
  readonly knownHosts: string;
}

/** A description of a tunnel to a server; everything can be changed. */
export function specFor(server: Reachable, changes: Partial<TunnelSpec> = {}): TunnelSpec {
  return {
    name: 'test',
    source: 'command',
    destination: {
      user: server.user,
      host: server.address,
      port: server.port,
      text: `${server.user}@${server.address}:${server.port}`,
    },
    forward: [],
    reverse: [],
    jump: [],
    identity: [server.identity],
    knownHosts: server.knownHosts,
    // Nothing of the account that runs the tests: neither its configuration nor its agent.
    sshConfig: 'none',
    options: { IdentityAgent: 'none', IdentitiesOnly: 'yes' },
    probe: true,
    ...changes,
  };
}

/** One end: a port of 127.0.0.1, or a path. */
export function end(place: number | string, host = '127.0.0.1'): Endpoint {
  return typeof place === 'number' ? { kind: 'tcp', host, port: place } : { kind: 'unix', path: place };
}

/** A forward from one end to another. */
export function forward(listen: Endpoint, target: Endpoint): Forward {
  const text = (endpoint: Endpoint): string =>
    endpoint.kind === 'unix' ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
  return { listen, target, text: `${text(listen)}:${text(target)}` };
}

/** The facts of a session that opens; throws with the reason when it does not. */
export async function opened(session: TunnelSession): Promise<SessionFacts> {
  const first = await Promise.race([session.opened, session.closed]);
  if (first === 'stopped') throw new Error('the session was stopped before it opened');
  if ('code' in first) throw new Error(`the session did not open: ${first.code}: ${first.message}`);
  return first;
}

/** Why a session does not open; throws when it does. */
export async function refused(session: TunnelSession): Promise<TunnelFailure> {
  const first = await Promise.race([session.opened, session.closed]);
  if (first !== 'stopped' && 'code' in first) return first;
  await session.close();
  throw new Error('the session opened');
}

/** Why an open session ended. */
export async function ended(session: TunnelSession): Promise<TunnelFailure> {
  const why = await session.closed;
  if (why === 'stopped') throw new Error('the session was stopped');
  return why;
}
