/**
 * The system's neighbour table: IPv4 addresses of machines that this one has spoken to lately. tcp asks them
 * for an announce. Read from /proc on Linux, from `arp -an` elsewhere; a table that cannot be read is empty.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { LIMITS } from '../shared/index.js';

/** Addresses of the neighbour table now. Never rejects. */
export type ReadNeighbours = () => Promise<string[]>;

/** Reads the table of this system. */
export async function readNeighbours(platform: string = process.platform): Promise<string[]> {
  if (platform === 'linux') {
    try {
      return parseProcNetArp(await readFile('/proc/net/arp', 'utf8'));
    } catch {
      return [];
    }
  }
  return new Promise((resolve) => {
    const args = platform === 'win32' ? ['-a'] : ['-an'];
    execFile('arp', args, { timeout: 2_000, maxBuffer: 1024 * 1024 }, (error, stdout) =>
      resolve(error === null ? parseArp(stdout) : []),
    );
  });
}

/** /proc/net/arp: columns address, type, flags, hardware address, mask, device. Flag 2 is a complete entry. */
export function parseProcNetArp(text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([address, , flags]) => isAddress(address) && (Number(flags) & 2) !== 0)
    .map(([address]) => address!)
    .slice(0, LIMITS.neighboursMax);
}

/** `arp -an` of macOS and BSD: `? (192.168.1.7) at 0:11:22:33:44:55 on en0 …`; Windows writes bare columns. */
export function parseArp(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (/incomplete|invalid|ff[:-]ff[:-]ff[:-]ff[:-]ff[:-]ff/i.test(line)) continue;
    const address = (/\((\d+\.\d+\.\d+\.\d+)\) at /.exec(line) ??
      /^\s+(\d+\.\d+\.\d+\.\d+)\s+\S*-/.exec(line))?.[1];
    if (isAddress(address)) found.push(address!);
  }
  return found.slice(0, LIMITS.neighboursMax);
}

function isAddress(text: string | undefined): boolean {
  return text !== undefined && isIPv4(text);
}
