/** `exo tunnel list` and `exo tunnel status`. */
import type { TunnelDetailJson, TunnelEventJson, TunnelJson, TunnelsJson } from '../api-shapes.js';
import { type ClientOptions, printJson } from '../commands/view.js';
import { EXIT } from '../errors.js';
import { formatEvent, formatTunnel, formatTunnels, stateLine } from '../format/tunnels.js';
import { type CliHost, colours } from '../host.js';
import { resolveTarget } from '../target.js';
import { TunnelClient } from './client.js';
import { watch } from './watch.js';

/** Options of both. */
export interface ListOptions extends ClientOptions {
  readonly watch?: boolean;
}

/** One line for each tunnel. */
export async function list(host: CliHost, options: ListOptions): Promise<number> {
  const client = new TunnelClient(host.clock, resolveTarget(options.api, host.env));
  const c = colours(host.stdout, host.env);
  const picture = (view: TunnelsJson) => formatTunnels(view, host.clock.wall(), c);
  if (options.watch !== true) {
    const view = await client.list();
    if (options.json === true) printJson(host, view);
    else host.stdout.write(`${picture(view).join('\n')}\n`);
    return EXIT.ok;
  }
  return watch<TunnelsJson>(host, {
    ask: (signal) => client.list(signal),
    picture,
    linesOnly: options.json === true,
    news: (view, before) => {
      if (options.json === true) return changed(view.tunnels, before?.tunnels) ? [JSON.stringify(view)] : [];
      return [
        ...view.tunnels.filter((each) => isNews(each, before?.tunnels)).map((each) => stateLine(each, c)),
        ...gone(view.tunnels, before?.tunnels).map((name) => `${name} gone`),
      ];
    },
  });
}

/** Everything about one, or about each. */
export async function status(host: CliHost, name: string | undefined, options: ListOptions): Promise<number> {
  const client = new TunnelClient(host.clock, resolveTarget(options.api, host.env));
  const c = colours(host.stdout, host.env);
  const ask = async (signal?: AbortSignal): Promise<readonly TunnelDetailJson[]> => {
    if (name !== undefined) return [await client.get(name, signal)];
    const { tunnels } = await client.list(signal);
    return await Promise.all(tunnels.map((each) => client.get(each.name, signal)));
  };
  const picture = (details: readonly TunnelDetailJson[]) =>
    details.length === 0
      ? formatTunnels({ schema_version: 1, tunnels: [], warnings: [] }, host.clock.wall(), c)
      : details.flatMap((each, at) => [
          ...(at === 0 ? [] : ['']),
          ...formatTunnel(each, host.clock.wall(), c),
        ]);
  const json = (details: readonly TunnelDetailJson[]) =>
    name === undefined ? { schema_version: 1, tunnels: details } : details[0]!;
  if (options.watch !== true) {
    const details = await ask();
    if (options.json === true) printJson(host, json(details));
    else host.stdout.write(`${picture(details).join('\n')}\n`);
    return EXIT.ok;
  }
  return watch<readonly TunnelDetailJson[]>(host, {
    ask,
    picture,
    linesOnly: options.json === true,
    news: (details, before) => {
      if (options.json === true) {
        const tunnels = details.map(({ tunnel }) => tunnel);
        const known = before?.map(({ tunnel }) => tunnel);
        return changed(tunnels, known) ? [JSON.stringify(json(details))] : [];
      }
      return details.flatMap((detail) => {
        const known = before?.find(({ tunnel }) => tunnel.name === detail.tunnel.name);
        if (known === undefined) return [stateLine(detail.tunnel, c)];
        return newEvents(detail.history, known.history).map(
          (event) => `${detail.tunnel.name}  ${formatEvent(event, c)}`,
        );
      });
    },
  });
}

/** Events that were not there before. The history is bounded: the oldest go. */
export function newEvents(
  history: readonly TunnelEventJson[],
  before: readonly TunnelEventJson[],
): readonly TunnelEventJson[] {
  const last = before.at(-1);
  if (last === undefined) return history;
  const at = history.findLastIndex(
    (event) => event.at_ms === last.at_ms && event.to === last.to && event.reason === last.reason,
  );
  return history.slice(at + 1);
}

/** A number that moves (a round trip, bytes, a countdown) is no news. */
function isNews(tunnel: TunnelJson, before: readonly TunnelJson[] | undefined): boolean {
  const known = before?.find(({ name }) => name === tunnel.name);
  return (
    known === undefined ||
    known.state !== tunnel.state ||
    known.code !== tunnel.code ||
    known.since_at_ms !== tunnel.since_at_ms
  );
}

function gone(tunnels: readonly TunnelJson[], before: readonly TunnelJson[] | undefined): string[] {
  return (before ?? []).map(({ name }) => name).filter((name) => !tunnels.some((each) => each.name === name));
}

function changed(tunnels: readonly TunnelJson[], before: readonly TunnelJson[] | undefined): boolean {
  return (
    before === undefined || tunnels.some((each) => isNews(each, before)) || gone(tunnels, before).length > 0
  );
}
