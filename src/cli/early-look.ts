/**
 * Looks for what a start would fail by once everything is loaded: a peers file that is not there, a port that is taken. Who has to
 * mend an option hears of it at once. What starts checks again, because all of it may change in between.
 */
import { statSync } from 'node:fs';
import type { NodeSettings } from '../node/config/index.js';
import { listRunning } from '../node/home/index.js';
import { type Address, ExoError, portHolder, printable, tryListen } from '../shared/index.js';

/** Throws `peers-file-unreadable` or `port-in-use`. */
export async function lookEarly(
  { discovery, nodeHost, nodePort, api }: NodeSettings,
  home: string,
): Promise<void> {
  const { modules, configPath } = discovery;
  const isMissing = configPath !== undefined && statSync(configPath, { throwIfNoEntry: false }) === undefined;
  if (isMissing && modules.includes('manual')) {
    throw new ExoError(
      'peers-file-unreadable',
      `there is no file ${printable(configPath, 300)}; make one with {"peers": {"mac2": {"address": "127.0.0.1:50052"}}} or copy peers.example.json, or name another with --discovery-config-path`,
    );
  }
  for (const { option, host, port } of [
    { option: '--node-port', host: nodeHost, port: nodePort },
    { option: '--chatgpt-api-port', host: api.host, port: api.port },
  ]) {
    if (port === 0 || (await tryListen({ host, port }))?.code !== 'EADDRINUSE') continue;
    const why = await takenBy({ host, port }, home);
    throw new ExoError('port-in-use', `${option} ${port} is ${why}, or choose another ${option}`);
  }
}

/** Who has the port, and what frees it. */
async function takenBy(place: Address, home: string): Promise<string> {
  const own = listRunning(home).find(({ nodePort, api }) => [nodePort, api?.port].includes(place.port));
  if (own !== undefined)
    return `taken by the node ${printable(own.id, 60)} that runs here (pid ${own.pid}); end it with exo stop`;
  if ((await portHolder(place)) === 'connection')
    return 'the near end of a connection, free at most a minute after its end; start again then';
  return `taken by another program, or by the -L of a tunnel (who: lsof -i :${place.port}); end it`;
}
