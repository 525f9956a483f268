/** `exo peers`. */
import type { PeersJson } from '../api-shapes.js';
import type { CliHost } from '../host.js';
import { type ClientOptions, view } from './view.js';

/** Prints the peers of a running node; with `all` also those that are gone or were refused, and why. */
export function peers(host: CliHost, options: ClientOptions & { readonly all?: boolean }): Promise<number> {
  return view<PeersJson>(host, options, '/v1/peers', async (answer, _target, c) => {
    const { formatPeers } = await import('../format/peers.js');
    return formatPeers(answer, options.all === true, host.clock.wall(), c);
  });
}
