/**
 * Looks for what a start would fail by once everything is loaded: a peers file that is not there, a port that is taken. Who has to
 * mend an option hears of it at once. What starts checks again, because all of it may change in between.
 */
import { statSync } from 'node:fs';
import type { NodeSettings } from '../node/config/index.js';
import { ExoError, formatAddress, portHolder, printable, tryListen } from '../shared/index.js';

/** Throws `peers-file-unreadable` or `port-in-use`. */
export async function lookEarly({ discovery, nodeHost, nodePort, api }: NodeSettings): Promise<void> {
  const { modules, configPath } = discovery;
  const isMissing = configPath !== undefined && statSync(configPath, { throwIfNoEntry: false }) === undefined;
  if (isMissing && modules.includes('manual')) {
    throw new ExoError(
      'peers-file-unreadable',
      `there is no file ${printable(configPath, 300)}; make one with {"peers": {"mac2": {"address": "127.0.0.1:50052"}}} or copy peers.example.json, or name another with --discovery-config-path`,
    );
  }
  await requireFree(nodeHost, nodePort, '--node-port');
  await requireFree(api.host, api.port, '--chatgpt-api-port');
}

async function requireFree(host: string, port: number, option: string): Promise<void> {
  if (port === 0 || (await tryListen({ host, port }))?.code !== 'EADDRINUSE') return;
  const why =
    (await portHolder({ host, port })) === 'connection'
      ? 'is the near end of a connection, free at most a minute after its end; start again then, or'
      : 'is taken by another program (or by the -L of a tunnel);';
  throw new ExoError(
    'port-in-use',
    `${formatAddress({ host, port })} ${why} choose another port with ${option}`,
  );
}
