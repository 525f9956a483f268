/** Why this machine cannot listen for a `-L`, by the system's error code, in the same words for every driver. */
import { type PortHolder, portHolder, printable } from '../shared/index.js';
import type { Forward } from './description/tunnel-spec.js';
import type { TunnelFailure } from './failure.js';

/** The reason behind `systemCode` (`EADDRINUSE`), which `listen` has failed with. Looks at who has the port. */
export async function explainListen(forward: Forward, systemCode: string): Promise<TunnelFailure> {
  const { listen } = forward;
  const isPortTaken = systemCode === 'EADDRINUSE' && listen.kind === 'tcp';
  return inWords(forward, systemCode, isPortTaken ? await portHolder(listen.port) : 'program');
}

function inWords(forward: Forward, systemCode: string, holder: PortHolder): TunnelFailure {
  const { listen, text } = forward;
  const where = printable(
    listen.kind === 'unix' ? listen.path : `port ${listen.port} of ${listen.host}`,
    200,
  );
  const failed = (code: TunnelFailure['code'], why: string): TunnelFailure => ({
    code,
    message: `${where} ${why}`,
    forwards: [text],
  });
  switch (systemCode) {
    case 'EADDRINUSE':
      if (holder === 'connection') {
        return failed(
          'local-port-ephemeral',
          `is the near end of a connection (-L ${text}); free at most a minute after its end`,
        );
      }
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
