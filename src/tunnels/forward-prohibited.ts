/** A `-L` whose connections the policy of the server forbids, worded once for both drivers. */
import { printable } from '../shared/index.js';
import type { Forward } from './description/tunnel-spec.js';
import type { TunnelFailure } from './failure.js';

/** The server says so only when the first connection comes. */
export function forwardProhibited({ text }: Forward): TunnelFailure {
  const message = `the server does not let this account connect for -L ${text}; allow it there (AllowTcpForwarding, PermitOpen)`;
  return { code: 'forward-refused', message: printable(message, 1_000), forwards: [text] };
}
