/** Why this machine cannot listen for a `-L`, by the system's error code, in the same words for every driver. */
import { connect } from 'node:net';
import { printable } from '../shared/index.js';
import type { Endpoint, Forward } from './description/tunnel-spec.js';
import type { TunnelFailure } from './failure.js';

/** A connect within this machine is answered at once, or by nobody. */
const LOOK_MS = 500;

/** The same as `explainListen`, after a look at who has the port: a program that listens, or a connection. */
export async function explainRefusedListen(forward: Forward, systemCode: string): Promise<TunnelFailure> {
  const failure = explainListen(forward, systemCode);
  if (systemCode !== 'EADDRINUSE' || !(await nobodyListens(forward.listen))) return failure;
  const why = `is the near end of a connection, or was within the last minute (-L ${forward.text}): the system hands such ports out, and this one is free again when the connection has ended`;
  return { ...failure, message: `${whereOf(forward)} ${why}` };
}

/** The reason behind `systemCode` (`EADDRINUSE`), which `listen` has failed with. */
export function explainListen(forward: Forward, systemCode: string): TunnelFailure {
  const { text } = forward;
  const failed = (code: TunnelFailure['code'], why: string): TunnelFailure => ({
    code,
    message: `${whereOf(forward)} ${why}`,
    forwards: [text],
  });
  switch (systemCode) {
    case 'EADDRINUSE':
      return failed(
        'local-port-busy',
        `is taken by another program on this machine (-L ${text}); end it or choose another`,
      );
    // A network that is not there yet, or a name server: it may pass.
    case 'EADDRNOTAVAIL':
      return failed(
        'local-port-busy',
        `cannot be listened on: this machine does not have that address now (-L ${text})`,
      );
    case 'EAI_AGAIN':
      return failed(
        'local-port-busy',
        `cannot be listened on: no name server knows the name now (-L ${text})`,
      );
    case 'ENOTFOUND':
      return failed(
        'spec-refused',
        `cannot be listened on: that name leads nowhere (-L ${text}); write an address of this machine`,
      );
    case 'EACCES':
      return failed(
        'spec-refused',
        `may not be listened on by this user (-L ${text}); choose a port above 1023 or another folder`,
      );
    default:
      return failed('spec-refused', `cannot be listened on (${systemCode}; -L ${text})`);
  }
}

function whereOf({ listen }: Forward): string {
  return printable(listen.kind === 'unix' ? listen.path : `port ${listen.port} of ${listen.host}`, 200);
}

/** False where that cannot be told: of every address at once, or when nothing comes back. */
function nobodyListens(listen: Endpoint): Promise<boolean> {
  if (listen.kind === 'unix' || listen.host === '*' || listen.host === '') return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ host: listen.host, port: listen.port, timeout: LOOK_MS });
    const finish = (nobody: boolean) => {
      socket.destroy();
      resolve(nobody);
    };
    socket.once('connect', () => finish(false));
    socket.once('timeout', () => finish(false));
    // Stays on: a socket may have more to say after it was destroyed.
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code === 'ECONNREFUSED'));
  });
}
