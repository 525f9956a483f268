/** When a process and this run of the machine began: a pid, and what is only in memory, mean nothing beyond that. */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Clock } from '../../shared/index.js';

/** Where the system has no id of its start, the start in steps of this: clocks are corrected by less. */
const BOOT_STEP_SECONDS = 30;

/** Start tick of a process (Linux), null elsewhere, and when it is gone or only waits to be collected. */
export function processStart(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold spaces and parentheses; behind it come the state (3) and the start (22).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return /^[ZXx]$/.test(fields[0] ?? '') ? 'ended' : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** Names this run of the machine. Where it is only near, two looks may differ: then something is done again. */
export function bootId(clock: Clock): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return `about ${Math.round((clock.wall() / 1000 - uptime()) / BOOT_STEP_SECONDS)}`;
  }
}
