/** Why this machine cannot listen for a `-L`, by the system's error code, in the same words for every driver. */
import { type PortHolder, portHolder, printable } from '../shared/index.js';
import { listenPlace } from './description/listening.js';
import type { Forward } from './description/tunnel-spec.js';
import type { TunnelFailure } from './failure.js';

/** The reason behind `systemCode` (`EADDRINUSE`), which `listen` has failed with. Looks at who has the port. */
export async function explainListen(forward: Forward, systemCode: string): Promise<TunnelFailure> {
  const { listen, text } = forward;
  const isPortTaken = systemCode === 'EADDRINUSE' && listen.kind === 'tcp';
  const holder = isPortTaken ? await portHolder({ ...listenPlace(listen), port: listen.port }) : 'program';
  const [code, what, wayOut] = wordsOf(systemCode, holder);
  const where = printable(
    listen.kind === 'unix' ? listen.path : `port ${listen.port} of ${listen.host}`,
    200,
  );
  const message = `${where} ${what} (-L ${text})${wayOut === undefined ? '' : `; ${wayOut}`}`;
  return { code, message, forwards: [text] };
}

/** Code, what is so, and what can be done about it. */
type Words = readonly [TunnelFailure['code'], string, string?];

const OF_HOLDER: Readonly<Record<PortHolder, Words>> = {
  program: ['local-port-busy', 'is taken by another program on this machine', 'end it or choose another'],
  connection: [
    'local-port-ephemeral',
    'is the near end of a connection',
    'free at most a minute after its end',
  ],
  nobody: ['local-port-busy', 'was taken until a moment ago'],
};

/** A network that is not there yet, or a name server, may pass. */
const OF_CODE: Readonly<Record<string, Words>> = {
  EADDRNOTAVAIL: [
    'local-address-missing',
    'cannot be listened on: this machine does not have that address now',
  ],
  EAI_AGAIN: ['local-address-missing', 'cannot be listened on: no name server knows the name now'],
  ENOTFOUND: [
    'spec-refused',
    'cannot be listened on: that name leads nowhere',
    'write an address of this machine',
  ],
  EACCES: [
    'spec-refused',
    'may not be listened on by this user',
    'choose a port above 1023 or another folder',
  ],
};

function wordsOf(systemCode: string, holder: PortHolder): Words {
  if (systemCode === 'EADDRINUSE') return OF_HOLDER[holder];
  return OF_CODE[systemCode] ?? ['spec-refused', `cannot be listened on, ${systemCode}`];
}
