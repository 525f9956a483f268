/** `exo topology`. */
import type { TopologyJson } from '../api-shapes.js';
import type { CliHost } from '../host.js';
import { type ClientOptions, view } from './view.js';

/** Prints nodes, ring and edges as a running node sees them. */
export function topology(host: CliHost, options: ClientOptions): Promise<number> {
  return view<TopologyJson>(host, options, '/v1/topology', async (answer, _target, c) => {
    const { formatTopology } = await import('../format/topology.js');
    return formatTopology(answer, c);
  });
}
