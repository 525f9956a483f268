/** The tunnels of a node that was given no place to keep any: none, and none can be opened. */
import { ExoError, printable } from '../shared/index.js';
import type { TunnelStatus, Tunnels } from '../tunnels/index.js';

function unknown(name: string): ExoError {
  return new ExoError(
    'tunnel-unknown',
    `no tunnel is called "${printable(name, 60)}"; this node has no tunnels`,
  );
}

/** Empty, for nodes of simulations and of one question. */
export const NO_TUNNELS: Tunnels = {
  list: () => [],
  get: (name) => {
    throw unknown(name);
  },
  history: (name) => {
    throw unknown(name);
  },
  open: (): TunnelStatus => {
    throw new ExoError('state-unwritable', 'this node was started without a folder for tunnels');
  },
  close: (name) => Promise.reject(unknown(name)),
  retry: (name) => {
    if (name !== undefined) throw unknown(name);
  },
  released: () => Promise.resolve(),
  onChange: () => () => undefined,
};
