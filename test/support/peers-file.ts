/** Writes a peers.json for loopback peers, in the seed form (`address` with the port in it). */
import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** `peers`: id → port on 127.0.0.1, or `host:port`. Returns the path. */
export function writePeersFile(folder: string, name: string, peers: Record<string, number | string>): string {
  const file = path.join(folder, name);
  const entries = Object.entries(peers).map(([id, at]) => [
    id,
    { address: typeof at === 'number' ? `127.0.0.1:${at}` : at },
  ]);
  writeFileSync(file, JSON.stringify({ peers: Object.fromEntries(entries) }, null, 2));
  return file;
}
