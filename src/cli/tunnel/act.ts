/** `exo tunnel close` and `exo tunnel reload`. */
import { printable } from '../../shared/index.js';
import { type ClientOptions, printJson } from '../commands/view.js';
import { EXIT } from '../errors.js';
import { formatTunnels } from '../format/tunnels.js';
import { type CliHost, colours } from '../host.js';
import { Progress } from '../progress.js';
import { resolveTarget } from '../target.js';
import { TunnelClient } from './client.js';

/** Ends one; returns when its ssh is gone. */
export async function close(host: CliHost, name: string, options: ClientOptions): Promise<number> {
  const client = new TunnelClient(host.clock, resolveTarget(options.api, host.env));
  const progress = new Progress(host, `closing ${printable(name, 60)}`);
  const tunnel = await client.close(name).finally(() => progress.end());
  if (options.json === true) {
    printJson(host, { schema_version: 1, closed: tunnel.name });
  } else {
    const rest =
      tunnel.source === 'peers-file'
        ? ` until it changes in peers.json or the node starts again; exo tunnel reload ${tunnel.name} opens it now`
        : '';
    host.stdout.write(`${printable(tunnel.name, 128)} is closed${rest}\n`);
  }
  return EXIT.ok;
}

/** Reads peers.json and tries again; shows how things stand then. */
export async function reload(
  host: CliHost,
  name: string | undefined,
  options: ClientOptions,
): Promise<number> {
  const client = new TunnelClient(host.clock, resolveTarget(options.api, host.env));
  const progress = new Progress(host, 'reading peers.json');
  const view = await client.reload(name).finally(() => progress.end());
  if (options.json === true) printJson(host, view);
  else {
    const c = colours(host.stdout, host.env);
    host.stdout.write(`${formatTunnels(view, host.clock.wall(), c).join('\n')}\n`);
  }
  return EXIT.ok;
}
