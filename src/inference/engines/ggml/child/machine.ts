/** What this machine has left for an engine: cores that nobody uses, and memory before it swaps. Asked by `program.ts`. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { type Clock, sleep } from '../../../../shared/index.js';

/** Long enough to see a neighbour that computes, short beside the start of the process. */
const SAMPLE_MS = 150;

/**
 * Physical cores that are idle right now, at least one. Threads beyond them wait for each other at every operation:
 * measured, two threads with one core taken are slower than one.
 */
export async function freeCores(clock: Clock): Promise<number> {
  const before = os.cpus();
  await sleep(clock, SAMPLE_MS);
  const after = os.cpus();
  let busy = 0;
  for (const [index, { times }] of after.entries()) {
    const was = before[index]?.times;
    if (was === undefined) continue;
    const idle = times.idle - was.idle;
    const total =
      idle + times.user - was.user + times.sys - was.sys + times.nice - was.nice + times.irq - was.irq;
    if (total > 0) busy += 1 - idle / total;
  }
  const cores = physicalCores();
  // Two busy threads of one core are one busy core.
  const busyCores = Math.round((busy * cores) / Math.max(1, after.length));
  return Math.max(1, Math.min(cores - busyCores, os.availableParallelism()));
}

/** Whether two engines with so many threads do not fit this machine at once: their threads would wait for each other's. */
export function fillsMachine(threads: number): boolean {
  return threads > 1 && 2 * threads > physicalCores();
}

function physicalCores(): number {
  const threads = os.cpus().length;
  try {
    if (process.platform === 'linux') return linuxCores(threads);
    if (process.platform === 'darwin') {
      // The slow cores of Apple silicon hold up the fast ones.
      const { stdout } = spawnSync('sysctl', ['-n', 'hw.perflevel0.physicalcpu'], { encoding: 'utf8' });
      const fast = Number(stdout);
      if (Number.isInteger(fast) && fast > 0) return fast;
    }
  } catch {
    // A system that does not tell: every thread counts.
  }
  return threads;
}

function linuxCores(threads: number): number {
  const siblings = new Set<string>();
  for (let cpu = 0; cpu < threads; cpu += 1) {
    siblings.add(readFileSync(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, 'utf8'));
  }
  return siblings.size;
}

/** Bytes that can be used before the machine swaps, the limit of a container considered where the runtime tells it. */
export function freeBytes(): number {
  // macOS counts the file cache as used; half of the machine is what it gives back without harm.
  if (process.platform === 'darwin') return Math.max(os.freemem(), os.totalmem() / 2);
  return Math.min(os.freemem(), process.availableMemory?.() ?? Number.POSITIVE_INFINITY);
}
