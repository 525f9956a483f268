/** `exo status`. */
import { formatAddress } from '../../shared/index.js';
import type { StatusJson } from '../api-shapes.js';
import type { CliHost } from '../host.js';
import { type ClientOptions, view } from './view.js';

/** Prints the state of a running node. */
export function status(host: CliHost, options: ClientOptions): Promise<number> {
  return view<StatusJson>(host, options, '/v1/status', async (answer, target, c) => {
    const { formatStatus } = await import('../format/status.js');
    const pid = target.run?.pid;
    return formatStatus(answer, { api: formatAddress(target), ...(pid === undefined ? {} : { pid }) }, c);
  });
}
