/** What a process holds: resident memory, open files and sockets, children. Read from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { residentBytes } from '../support/processes.js';

/** One look. */
export interface Level {
  readonly atMs: number;
  readonly residentBytes: number;
  readonly handles: number;
  readonly children: number;
}

/** What a process holds now; undefined when it is gone. */
export function levelOf(pid: number): Level | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return {
      atMs: Date.now(),
      residentBytes: residentBytes(pid),
      handles: readdirSync(`/proc/${pid}/fd`).length,
      children: children.length,
    };
  } catch {
    return undefined;
  }
}

/** Bytes by which memory grows in ten minutes: the slope of the line that fits best. 0 for fewer than two looks. */
export function slopeBytesPer10Min(levels: readonly Level[]): number {
  const n = levels.length;
  if (n < 2) return 0;
  const meanAt = levels.reduce((sum, { atMs }) => sum + atMs, 0) / n;
  const meanBytes = levels.reduce((sum, level) => sum + level.residentBytes, 0) / n;
  let above = 0;
  let below = 0;
  for (const { atMs, residentBytes: bytes } of levels) {
    above += (atMs - meanAt) * (bytes - meanBytes);
    below += (atMs - meanAt) ** 2;
  }
  return below === 0 ? 0 : (above / below) * 600_000;
}
