/** `exo tunnel logs`: every change of state that the node remembers, and with `--follow` those that come. */
import type { TunnelDetailJson } from '../api-shapes.js';
import { type ClientOptions, printJson } from '../commands/view.js';
import { EXIT } from '../errors.js';
import { formatEvent } from '../format/tunnels.js';
import { type CliHost, colours } from '../host.js';
import { resolveTarget } from '../target.js';
import { TunnelClient } from './client.js';
import { newEvents } from './list.js';
import { watch } from './watch.js';

/** Oldest first. */
export async function logs(
  host: CliHost,
  name: string,
  options: ClientOptions & { readonly follow?: boolean },
): Promise<number> {
  const client = new TunnelClient(host.clock, resolveTarget(options.api, host.env));
  const c = colours(host.stdout, host.env);
  if (options.follow === true) {
    const line = options.json === true ? JSON.stringify : formatLine;
    return watch<TunnelDetailJson>(host, {
      ask: (signal) => client.get(name, signal),
      picture: () => [],
      linesOnly: true,
      news: ({ history }, before) => newEvents(history, before?.history ?? []).map((event) => line(event)),
    });
  }
  const { schema_version: version, history } = await client.get(name);
  if (options.json === true) printJson(host, { schema_version: version, name, history });
  else if (history.length > 0) host.stdout.write(`${history.map(formatLine).join('\n')}\n`);
  return EXIT.ok;

  function formatLine(event: TunnelDetailJson['history'][number]): string {
    return formatEvent(event, c);
  }
}
