/**
 * Processes by pid and command line: whether a pid is still the process that we mean, and its end. For the guard and for
 * what an earlier run of the node left behind; a live session knows its child itself.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Clock, sleep } from '../../shared/index.js';
import { signalGroup } from '../ssh/signal-group.js';

/** ssh ends on SIGTERM in some milliseconds. */
const KILL_AFTER_MS = 800;
const LOOK_EVERY_MS = 20;
/** After SIGKILL only the system has work to do. */
const GIVE_UP_AFTER_MS = 2_000;
/** `ps` answers in milliseconds; the node stands still while it is asked. */
const PS_TIMEOUT_MS = 2_000;

/** Its arguments joined by spaces; undefined when it is gone (a zombie has none). */
export function commandLine(pid: number): string | undefined {
  try {
    const line =
      process.platform === 'linux'
        ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        : execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], {
            encoding: 'utf8',
            stdio: 'pipe',
            timeout: PS_TIMEOUT_MS,
          });
    return line.trim() === '' ? undefined : line.trim();
  } catch {
    return undefined;
  }
}

/** Ends process `pid` and its group if `mark` is in its command line; SIGTERM first. Resolves to whether it did. */
export async function endMarked(pid: number, mark: string, clock: Clock): Promise<boolean> {
  const runs = () => commandLine(pid)?.includes(mark) === true;
  if (!runs()) return false;
  const started = clock.now();
  let killed = false;
  signalGroup(pid, 'SIGTERM');
  // A stopped process takes no SIGTERM.
  signalGroup(pid, 'SIGCONT');
  while (runs() && clock.now() - started < GIVE_UP_AFTER_MS) {
    if (!killed && clock.now() - started > KILL_AFTER_MS) {
      signalGroup(pid, 'SIGKILL');
      killed = true;
    }
    await sleep(clock, LOOK_EVERY_MS);
  }
  return true;
}
